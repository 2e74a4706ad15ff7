module rtgo.dev/rtgo

go 1.26.0
