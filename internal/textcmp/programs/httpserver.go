// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build ignore

// Httpserver links in the network poller, timers, TLS and most of what a
// service uses.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"time"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: httpserver ADDRESS")
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s\n", time.Now().Format(time.RFC3339), r.URL.Path)
	})
	s := &http.Server{Addr: os.Args[1], ReadTimeout: 5 * time.Second}
	log.Fatal(s.ListenAndServe())
}
