package main

import (
	"io"
	"testing"

	"github.com/miekg/dns"
)

func TestParseArgs(t *testing.T) {
	base := command{name: mockName, rrtype: dns.TypeA, additional: true}
	with := func(change func(*command)) *command {
		c := base
		change(&c)
		return &c
	}
	tests := []struct {
		args []string
		want *command // nil: an error
	}{
		{nil, with(func(c *command) { c.onlyLoopback = true })},
		{[]string{"-tree"}, with(func(c *command) { c.onlyLoopback, c.form = true, formTree })},
		{[]string{"-json", "-6"}, with(func(c *command) { c.onlyLoopback, c.form, c.ipv6 = true, formJSON, true })},
		{[]string{"-additional=false"}, with(func(c *command) { c.onlyLoopback, c.additional = true, false })},
		{[]string{"www.example"}, with(func(c *command) { c.name = "www.example" })},
		{[]string{"example", "mx"}, with(func(c *command) { c.name, c.rrtype = "example", dns.TypeMX })},
		{[]string{"example", "TYPE65534"}, with(func(c *command) { c.name, c.rrtype = "example", 65534 })},
		{[]string{"example", "-4", "NS", "-tree"}, with(func(c *command) {
			c.name, c.rrtype, c.ipv4, c.form = "example", dns.TypeNS, true, formTree
		})},
		{[]string{"-hints", "file", "example"}, with(func(c *command) { c.name, c.hints = "example", "file" })},
		{[]string{"-mock", "file"}, with(func(c *command) { c.mock = "file" })},
		{[]string{"-mock", "file", "example"}, with(func(c *command) { c.name, c.mock = "example", "file" })},
		{[]string{"-dnssec", "example"}, with(func(c *command) { c.name, c.dnssec = "example", true })},
		{[]string{"example", "-graph", "a.SVG"}, with(func(c *command) { c.name, c.graph = "example", "a.SVG" })},
		{[]string{"example", "-graph", "a.dot"}, with(func(c *command) { c.name, c.graph = "example", "a.dot" })},
		{[]string{"example", "-graph", "a.png"}, nil},
		{[]string{"example", "A", "more"}, nil},
		{[]string{"example", "TYPE65536"}, nil},
		{[]string{"example", "TYPE"}, nil},
		{[]string{"-4", "-6"}, nil},
		{[]string{"-tree", "-json"}, nil},
		{[]string{"-hints", "file"}, nil},
		{[]string{"-hints", "file", "-mock", "file"}, nil},
		{[]string{"-hints"}, nil},
		{[]string{"-nosuch"}, nil},
	}
	for _, test := range tests {
		got, err := parseArgs(test.args, io.Discard)
		switch {
		case test.want == nil && err == nil:
			t.Errorf("%q: got %+v, want an error", test.args, *got)
		case test.want != nil && err != nil:
			t.Errorf("%q: got %v, want %+v", test.args, err, *test.want)
		case test.want != nil && *got != *test.want:
			t.Errorf("%q: got %+v, want %+v", test.args, *got, *test.want)
		}
	}
}
