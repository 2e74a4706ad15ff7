module rtgo.dev/rtgo/rt

go 1.26.0

require golang.org/x/sys v0.49.0

ignore ./require
