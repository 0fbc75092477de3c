package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestParseLine(t *testing.T) {
	c := &config{types: []uint16{dns.TypeA}}
	label := strings.Repeat("a", 63)
	for _, test := range []struct {
		line string
		name string // "": an error
		err  error  // nil: any
	}{
		{"www.example.com", "www.example.com.", nil},
		{"  www.example.com.\t", "www.example.com.", nil},
		{"WWW.Example.COM", "WWW.Example.COM.", nil},
		{"_443._tcp.www.example.com", "_443._tcp.www.example.com.", nil},
		{"r3---sn-apo3qvuoxuxbt-j5pe.example.com", "r3---sn-apo3qvuoxuxbt-j5pe.example.com.", nil},
		{".", ".", nil},
		{"com", "com.", nil},
		{"bücher.example", "xn--bcher-kva.example.", nil},
		{"BÜCHER.example", "xn--bcher-kva.example.", nil},
		{"straße.example", "xn--strae-oqa.example.", nil}, // not strasse: browsers are not transitional
		{"例え。テスト", "xn--r8jz45g.xn--zckzah.", nil},        // the ideographic full stop separates
		{"_dmarc.bücher.example", "_dmarc.xn--bcher-kva.example.", nil},
		{"xn--bcher-kva.example", "xn--bcher-kva.example.", nil},
		{"a\u200db.example", "", errIDN}, // a joiner where it may not be
		{"\u0627a.example", "", errIDN},  // both directions of writing in a label
		{"foo bar.example.com", "", errWords},
		{"one two three", "", errWords},
		{"https://www.example.com/", "", errURL},
		{"www.example.com/index.html", "", errURL},
		{"192.0.2.1", "", errAddress},
		{"192.0.2.1:53", "", errAddress},
		{"2001:db8::1", "", errAddress},
		{"[2001:db8::1]", "", errAddress},
		{"*.example.com", "", errWildcard},
		{"a..example.com", "", nil},
		{".example.com", "", nil},
		{label + "a.example.com", "", nil},
		{strings.Repeat(label+".", 4) + "com", "", nil}, // 260 bytes
		{strings.Repeat("a", 300), "", nil},
		{"bücher" + strings.Repeat("a", 70) + ".example", "", nil},
		{"a\x00b.example", "", errBinary},
		{"\xff\xfe\x80", "", errBinary},
		{"\x1b[31mred.example", "", errBinary},
	} {
		got := parseLine([]byte(test.line), false, c)
		if len(got) != 1 {
			t.Errorf("%q: got %d questions, want 1", test.line, len(got))
			continue
		}
		if got[0].name != test.name || (test.name == "") != (got[0].err != nil) || test.err != nil && !errors.Is(got[0].err, test.err) {
			t.Errorf("%q: got %q, %v, want %q, %v", test.line, got[0].name, got[0].err, test.name, test.err)
		}
	}
}

func TestParseLineTypes(t *testing.T) {
	c := &config{types: []uint16{dns.TypeA, dns.TypeAAAA}, wildcards: true}
	types := func(line string) (all []string) {
		for _, q := range parseLine([]byte(line), false, c) {
			all = append(all, typeText(q))
		}
		return all
	}
	for line, want := range map[string]string{
		"a.example":               "A AAAA",
		"a.example MX":            "MX",
		"a.example mx,HTTPS,mx":   "MX HTTPS",
		"a.example TYPE65534":     "TYPE65534",
		"*.example A":             "A",
		"a.example NONSENSE":      "",
		"a.example AXFR":          "",
		"a.example A,":            "",
		"":                        "",
		" \t ":                    "",
		"a.example MX and others": "",
	} {
		if got := strings.Join(types(line), " "); got != want {
			t.Errorf("%q: got types %q, want %q", line, got, want)
		}
	}
	if got := parseLine(nil, true, c); len(got) != 1 || got[0].err != errLineLong {
		t.Errorf("a line that is too long: got %+v, want its error", got)
	}
}

func FuzzParseLine(f *testing.F) {
	for _, line := range []string{"www.example.com MX,TXT", "bücher.example", "*.a", "http://a/", "a\x00b", "\\300.a", "١.example"} {
		f.Add([]byte(line))
	}
	c := &config{types: []uint16{dns.TypeA}}
	f.Fuzz(func(t *testing.T, line []byte) {
		for _, q := range parseLine(line, false, c) {
			if (q.err == nil) != dns.IsFqdn(q.name) {
				t.Errorf("%q: got name %q and error %v, want either", line, q.name, q.err)
			}
			if len(q.input) > 4*maxShown || strings.ContainsAny(q.input, "\n\x00") {
				t.Errorf("%q: got input %q", line, q.input)
			}
		}
	})
}
