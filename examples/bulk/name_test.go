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
		{"192.0.2.1.", "", errAddress},
		{"0x7f000001", "", errAddress},
		{"１９２.0.2.1", "", errAddress}, // full-width digits
		{"192.0.2.0/24", "", errPrefix},
		{"2001:db8::/32", "", errPrefix},
		{"n0.host0.example:53", "", errPort},
		{"localhost:8080", "", errPort},
		{"bücher.example:53", "", errPort},
		{"bücher.example：53", "", errPort},
		{"user@host1.example", "", errMail},
		{"mailto:user@host1.example", "", errMail},
		{"bücher＠host1.example", "", errMail},
		{`a\\@host1.example`, "", errMail}, // what is escaped is the backslash
		{"http:host1.example", "", errColon},
		{"host1.example:", "", errColon},
		{"host1.example:53:54", "", errColon},
		{`"quoted.example"`, "", errQuoted},
		{`"quoted.example","1"`, "", errQuoted},
		{`"three words quoted"`, "", errQuoted},
		{"'quoted.example'", "", errQuoted},
		{"1,www.example.com", "", errTable},
		{"www.example.com; MX", "", errTable},
		{"# a comment", "", errComment},
		{"; a comment", "", errComment},
		{"1.2.3", "1.2.3.", nil},
		{"1.2.3.4.in-addr.arpa", "1.2.3.4.in-addr.arpa.", nil},
		{"128/26.2.0.192.in-addr.arpa", "128/26.2.0.192.in-addr.arpa.", nil},
		{"host", "host.", nil},
		{"0x7f.example", "0x7f.example.", nil},
		{`a\@b.example`, `a\@b.example.`, nil},
		{`a\064b.example`, `a\064b.example.`, nil},
		{`a\:53`, `a\:53.`, nil},
		{`a\05853`, `a\05853.`, nil},
		{`a\,b\;c\"d\/e.example`, `a\,b\;c\"d\/e.example.`, nil},
		{`\"a\".example`, `\"a\".example.`, nil},
		{`\#a.example`, `\#a.example.`, nil},
		{"it's.example", "it's.example.", nil},
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

// TestLineErrors: the error of a line says what is wrong with it, in few words however long the line is.
func TestLineErrors(t *testing.T) {
	c := &config{types: []uint16{dns.TypeA}}
	label := strings.Repeat("a", 63)
	const form = "; a line is a name, or a name and types separated by commas, such as example.com MX,TXT"
	for line, want := range map[string]string{
		"a mx txt":          `"txt" is a word too many` + form,
		"a mx, txt":         "a type is missing before or after a comma" + form,
		"foo bar baz":       `"bar" is no record type` + form,
		"a.example. IN A":   `"IN" is no record type` + form,
		"a TYPE0":           "TYPE0 is reserved: no name has records of it" + form,
		"a..example":        `empty label in domain name: "a..example"`,
		label + "a.example": `label longer than 63 bytes: "` + label[:60] + `…"`,
		strings.Repeat(label+".", 60) + "example": `domain name longer than 255 bytes: "` + label[:60] + `…"`,
	} {
		got := parseLine([]byte(line), false, c)
		if len(got) != 1 || got[0].err == nil || got[0].err.Error() != want {
			t.Errorf("%.80q: got %v, want the error %s", line, got, want)
		}
	}
	for _, word := range []string{"ü" + strings.Repeat("x", 1000) + "\u200db", "xn--ü" + strings.Repeat("x", 1000)} {
		got := parseLine([]byte(word), false, c)
		if len(got) != 1 || got[0].err == nil || len(got[0].err.Error()) > 200 || strings.Contains(got[0].err.Error(), "idna:") {
			t.Errorf("%.80q: got %v, want a short error", word, got)
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
