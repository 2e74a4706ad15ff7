// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"rtgo.dev/rtgo/test/rtlatency/result"
)

// Geometry of a plot in SVG user units.
const (
	plotW, plotH = 520, 300
	plotLeft     = 50
	plotRight    = plotW - 22
	plotTop      = 24
	plotBottom   = plotH - 40
)

// A Plot is a histogram as OSADL draws them: latency linear, count
// logarithmic, the maximum marked.
type Plot struct {
	Title          string
	XLabel, YLabel string
	XTicks, YTicks []Tick
	Lines          []*Line
	W, H           int
	X0, X1, Y0, Y1 int  // of the axes
	Full           bool // up to the largest maximum
}

// A Tick is a mark on an axis.
type Tick struct {
	Pos   string
	Label string
	Mid   string // where its text stands
}

// A Line is one series.
type Line struct {
	Class   string // of its colour and stroke
	Label   string
	Path    string
	Area    string
	Caption string // maximum, samples and duration
	// The mark of the maximum: a line from Y1 up to MarkY with text beside.
	MarkX, MarkY, TextY, TextX string
	Anchor                     string
	Mark                       string
	Beyond                     bool // the maximum is right of the plot
	order                      int
}

// Legend returns the lines in the order of the table.
func (p *Plot) Legend() []*Line {
	return slices.SortedStableFunc(slices.Values(p.Lines), func(a, b *Line) int { return cmp.Compare(a.order, b.order) })
}

// A series is what a row contributes to the plots of its panel.
type series struct {
	row   *Row
	class string
	order int
}

// plot draws the panel: all of it, and where the maxima are far apart a
// plot that ends where the small ones do.
func (p *Panel) plot(c *Case) {
	haveC := slices.ContainsFunc(p.Rows, func(r *Row) bool { return r.Kind == kindC && r.stats != nil })
	var ss []series
	for _, r := range p.Rows {
		if r.stats == nil || r.Kind == kindOutsideSTW || r.Kind == kindControl && (haveC || r.Outcome == result.Failed) || !r.m.Comparable() && r.Kind != kindControl {
			continue
		}
		if r.Note != "" && r.Kind == r.m.Toolchain && strings.HasSuffix(r.Label, "outside stops") {
			continue
		}
		if len(r.stats.Log) == 0 && len(r.stats.Linear.Counts) == 0 {
			continue
		}
		class := "s-" + r.Kind
		if r.m.Group == "problem" && !r.with {
			class += " s-without"
		}
		ss = append(ss, series{r, class, len(ss)})
	}
	if len(ss) == 0 {
		return
	}
	// Few lines on top of many: the largest behind.
	slices.SortStableFunc(ss, func(a, b series) int { return cmp.Compare(b.row.Max.NS, a.row.Max.NS) })
	largest := float64(ss[0].row.Max.NS) / 1000
	smallest := float64(ss[len(ss)-1].row.Max.NS) / 1000
	near, limit := 0.0, math.Inf(1)
	for _, s := range ss {
		if m := float64(s.row.Max.NS) / 1000; m <= 8*max(smallest, 10) {
			near = max(near, m)
		}
		limit = min(limit, float64(s.row.stats.Linear.Limit))
	}
	classic := func(end float64) bool { return end <= min(limit, 800) }
	if largest > 3*near || !classic(largest*1.08) {
		end := ceilNice(max(near*1.25, 20))
		if classic(end) {
			p.Plots = append(p.Plots, draw(ss, end, true, false))
		}
	}
	end := max(largest*1.08, 20)
	p.Plots = append(p.Plots, draw(ss, ceilNice(end), classic(ceilNice(end)), true))
}

// draw draws a plot from 0 to end µs. Classic plots have classes of 1 µs and
// count wake-ups; others have about 80 classes and count releases, from the
// histogram that has no upper end.
func draw(ss []series, end float64, classic, full bool) *Plot {
	pl := &Plot{W: plotW, H: plotH, X0: plotLeft, X1: plotRight, Y0: plotTop, Y1: plotBottom, Full: full}
	width := 1.0
	pl.YLabel, pl.XLabel = "wake-ups per µs", "lateness, µs"
	if !classic {
		width = ceilNice(end / 80)
		pl.YLabel = "releases per " + axisNumber(width) + " µs"
		if width >= 1000 {
			pl.YLabel = "releases per " + axisNumber(width/1000) + " ms"
		}
	}
	bins := make([][]uint64, len(ss))
	var top uint64 = 10
	for i, s := range ss {
		bins[i] = binned(s.row.stats, end, width, classic)
		top = max(top, slices.Max(bins[i]))
	}
	decades := math.Ceil(math.Log10(float64(top) * 1.5))
	const floor = -0.25 // log10 of the count at the axis: one sample stands clear of it
	x := func(v float64) float64 { return plotLeft + (plotRight-plotLeft)*min(v, end)/end }
	y := func(n float64) float64 {
		return plotBottom - (plotBottom-plotTop)*(math.Log10(n)-floor)/(decades-floor)
	}
	for d := 0.0; d <= decades; d++ {
		label := "1"
		switch {
		case d == 1:
			label = "10"
		case d > 1:
			label = "10" + superscript(int(d))
		}
		py := y(math.Pow(10, d))
		pl.YTicks = append(pl.YTicks, Tick{Pos: num(py), Label: label, Mid: num(py + 4)})
	}
	unit := 1.0
	if end > 20_000 {
		unit, pl.XLabel = 1000, "lateness, ms"
	}
	step := tickStep(end / unit)
	for v := 0.0; v <= end/unit*1.0001; v += step {
		pl.XTicks = append(pl.XTicks, Tick{Pos: num(x(v * unit)), Label: axisNumber(v)})
	}
	for i, s := range ss {
		l := &Line{Class: s.class, Label: s.row.Label, order: s.order}
		l.Path, l.Area = steps(bins[i], width, x, y)
		mx := float64(s.row.Max.NS) / 1000
		px := x(mx)
		l.Mark = "max " + s.row.Max.String()
		l.Beyond = mx > end
		l.MarkX = num(px)
		ty := plotTop + 12 + 15*float64(i)
		l.TextY, l.MarkY = num(ty), num(ty+4)
		l.Anchor, l.TextX = "start", num(px+4)
		if px > plotLeft+0.62*(plotRight-plotLeft) {
			l.Anchor, l.TextX = "end", num(px-4)
		}
		if l.Beyond {
			l.Mark += " →"
		}
		l.Caption = fmt.Sprintf("%s samples in %s, max %s µs", thousands(int64(s.row.Samples)), span(s.row.DurationNS), s.row.Max)
		if s.row.DurationNS <= 0 {
			l.Caption = fmt.Sprintf("%s samples, max %s µs", thousands(int64(s.row.Samples)), s.row.Max)
		}
		if s.row.Missed > 0 {
			l.Caption += fmt.Sprintf(", %s releases missed", thousands(int64(s.row.Missed)))
		}
		pl.Lines = append(pl.Lines, l)
	}
	pl.Title = "Latency histogram up to " + axisNumber(end) + " µs"
	return pl
}

// binned counts samples in classes of width µs below end µs.
func binned(s *result.Stats, end, width float64, classic bool) []uint64 {
	b := make([]uint64, int(math.Ceil(end/width)))
	put := func(us float64, n uint64) {
		if i := int(us / width); i >= 0 && i < len(b) {
			b[i] += n
		}
	}
	if classic || len(s.Log) == 0 {
		for v, n := range s.Linear.Counts {
			put(float64(v), n)
		}
		if !classic && s.Linear.Overflow > 0 {
			put(float64(s.MaxNS)/1000, 1) // of those beyond, only the largest is known
		}
		return b
	}
	for _, x := range s.Log {
		put(min(float64(x.From+x.To)/2, float64(max(s.MaxNS, 0)))/1000, x.N)
	}
	return b
}

// steps returns the outline of a histogram and the area below it.
func steps(b []uint64, width float64, x, y func(float64) float64) (path, area string) {
	var s strings.Builder
	down := true // at the axis
	fmt.Fprintf(&s, "M%s %d", num(x(0)), plotBottom)
	for i := 0; i < len(b); {
		j := i
		for j < len(b) && b[j] == b[i] {
			j++
		}
		if b[i] > 0 {
			fmt.Fprintf(&s, "V%sH%s", num(y(float64(b[i]))), num(x(float64(j)*width)))
			down = false
		} else {
			if !down {
				fmt.Fprintf(&s, "V%d", plotBottom)
			}
			fmt.Fprintf(&s, "H%s", num(x(float64(j)*width)))
			down = true
		}
		i = j
	}
	if !down {
		fmt.Fprintf(&s, "V%d", plotBottom)
	}
	return s.String(), s.String() + "Z"
}

func num(x float64) string {
	return strconv.FormatFloat(math.Round(x*10)/10, 'f', -1, 64)
}

// ceilNice returns the smallest of 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8 times
// a power of ten that is at least v, and at least 1.
func ceilNice(v float64) float64 {
	if v <= 1 {
		return 1
	}
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8} {
		if m*p >= v*0.99999 && m*p == math.Trunc(m*p) {
			return m * p
		}
	}
	return 10 * p
}

func tickStep(end float64) float64 {
	p := math.Pow(10, math.Floor(math.Log10(end)))
	for _, m := range []float64{0.1, 0.2, 0.25, 0.5, 1} {
		if end/(m*p) <= 6.01 {
			return m * p
		}
	}
	return 2 * p
}

func axisNumber(v float64) string {
	if v >= 1000 && v == math.Trunc(v) {
		return thousands(int64(v))
	}
	return strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64)
}

func superscript(n int) string {
	digits := []rune("⁰¹²³⁴⁵⁶⁷⁸⁹")
	var s []rune
	for _, r := range strconv.Itoa(n) {
		s = append(s, digits[r-'0'])
	}
	return string(s)
}
