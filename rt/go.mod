module rtgo.dev/rtgo/rt

go 1.26.0
