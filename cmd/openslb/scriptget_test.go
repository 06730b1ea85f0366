package main

import (
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdGet fetches an URL until the text answers, which a health check may delay.
// Negated, it demands that thirty answers in a row do not have the text.
func cmdGet(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] get URL TEXT")
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	fetch := func() string {
		resp, err := client.Get(args[0])
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			return err.Error()
		}
		return string(text)
	}
	if neg {
		for range 30 {
			if text := fetch(); strings.Contains(text, args[1]) {
				ts.Fatalf("%s answers %q", args[0], text)
			}
		}
		return
	}
	last := ""
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if last = fetch(); strings.Contains(last, args[1]) {
			return
		}
	}
	ts.Fatalf("%s never answers %q, last %q", args[0], args[1], last)
}
