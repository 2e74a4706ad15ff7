module rtgo.dev/rtgo

go 1.26.0

require (
	github.com/aclements/go-moremath v0.0.0-20210112150236-f10218a38794 // indirect
	github.com/google/go-cmp v0.7.0 // indirect
	golang.org/x/perf v0.0.0-20260908200009-22c9c6c9d4da // indirect
	golang.org/x/sys v0.49.0 // indirect
	rtgo.dev/rtgo/rt v0.0.0
)

ignore (
	./out
	./src-overlay
)

replace rtgo.dev/rtgo/rt => ./rt
