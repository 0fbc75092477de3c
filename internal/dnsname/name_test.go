package dnsname

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// label is n times the letter a.
func label(n int) string { return strings.Repeat("a", n) }

// longName is a name in presentation form that takes bytes on the wire.
func longName(b int) string {
	var labels []string
	for b > 1+64 {
		labels, b = append(labels, label(63)), b-64
	}
	return strings.Join(append(labels, label(b-2)), ".") + "."
}

func TestParse(t *testing.T) {
	tests := []struct {
		in   string
		want Name
	}{
		{".", "\x00"},
		{"example.", "\x07example\x00"},
		{"example", "\x07example\x00"},
		{"WwW.eXaMpLe.", "\x03www\x07example\x00"},
		{"*.example", "\x01*\x07example\x00"},
		{"_25._tcp.mx.example.", "\x03_25\x04_tcp\x02mx\x07example\x00"},
		{`a\.b.example.`, "\x03a.b\x07example\x00"},
		{`a\046b.example.`, "\x03a.b\x07example\x00"},
		{`a\\b.`, "\x03a\\b\x00"},
		{`\@\;\(\)\"\'\ .`, "\x07@;()\"' \x00"},
		{`\000\255\065.`, "\x03\x00\xffa\x00"}, // an escaped A is a letter too
		{`\A.`, "\x01a\x00"},
		{`example\.`, "\x08example.\x00"}, // the only dot belongs to the label
		{"\xe4\xdf.", "\x02\xe4\xdf\x00"}, // only ASCII letters have two cases
		{"@[`{.", "\x04@[`{\x00"},         // the neighbours of A-Z and a-z
		{"AZaz.", "\x04azaz\x00"},
		{label(63) + ".", "\x3f" + Name(label(63)) + "\x00"},
		{`\003www.example.`, "\x04\x03www\x07example\x00"},
	}
	for _, tt := range tests {
		got, err := Parse(tt.in)
		if err != nil || got != tt.want {
			t.Errorf("Parse(%q): got %q, %v; want %q", tt.in, string(got), err, string(tt.want))
		}
	}
}

func TestParseLengths(t *testing.T) {
	longest := longName(255)
	if n, err := Parse(longest); err != nil || len(n) != MaxWire {
		t.Errorf("%d bytes: got %d bytes, %v", MaxWire, len(n), err)
	}
	most := strings.Repeat("a.", MaxLabels)
	if n, err := Parse(most); err != nil || n.Labels() != MaxLabels {
		t.Errorf("%d labels: got %d labels, %v", MaxLabels, n.Labels(), err)
	}
	var escaped strings.Builder
	for l := range strings.SplitSeq(strings.TrimSuffix(longest, "."), ".") {
		escaped.WriteString(strings.Repeat(`\097`, len(l)) + ".")
	}
	if n, err := Parse(escaped.String()); err != nil || n != MustParse(longest) {
		t.Errorf("%d bytes, all escaped: got %s, %v", MaxWire, n, err)
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct {
		in   string
		want error
	}{
		{"", ErrEmpty},
		{"..", ErrEmptyLabel},
		{".example.", ErrEmptyLabel},
		{"a..example.", ErrEmptyLabel},
		{"example..", ErrEmptyLabel},
		{label(64), ErrLabelTooLong},
		{label(64) + ".", ErrLabelTooLong},
		{"a." + label(64) + ".example.", ErrLabelTooLong},
		{label(300), ErrLabelTooLong},
		{longName(256), ErrTooLong},
		{strings.TrimSuffix(longName(256), "."), ErrTooLong},
		{strings.Repeat("a.", MaxLabels+1), ErrTooLong},
		{strings.Repeat("a.", 5000), ErrTooLong},
		{`\`, ErrEscape},
		{`example\`, ErrEscape},
		{`\1`, ErrEscape},
		{`\12`, ErrEscape},
		{`\12a.`, ErrEscape},
		{`\1a2.`, ErrEscape},
		{`\256.`, ErrEscape},
		{`\999.`, ErrEscape},
	}
	for _, tt := range tests {
		if got, err := Parse(tt.in); !errors.Is(err, tt.want) || got != "" {
			t.Errorf("Parse(%.80q): got %q, %v; want %v", tt.in, string(got), err, tt.want)
		}
	}
}

func TestMustParse(t *testing.T) {
	if got, want := MustParse("Example"), Name("\x07example\x00"); got != want {
		t.Errorf("got %q, want %q", string(got), string(want))
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic for a malformed name")
		}
	}()
	MustParse("a..b")
}

func TestFromWire(t *testing.T) {
	long := MustParse(longName(255))
	tests := []struct {
		in   string
		want Name
		err  error
	}{
		{"\x00", Root, nil},
		{"\x07ExAmple\x00", "\x07example\x00", nil},
		{"\x01A\x01b\x01C\x00", "\x01a\x01b\x01c\x00", nil},
		{string(long), long, nil},
		{"\x01a" + string(long), "", ErrTooLong},
		{"", "", ErrSyntax},
		{"\x01", "", ErrSyntax},
		{"\x01a", "", ErrSyntax},                     // no root label
		{"\x02a\x00", "", ErrSyntax},                 // label runs past the end
		{"\x01a\x00\x00", "", ErrSyntax},             // bytes after the root label
		{"\x00\x01a\x00", "", ErrSyntax},             // root label in the middle
		{"\x01a\xc0\x00", "", ErrSyntax},             // compression pointer
		{"\x40" + label(64) + "\x00", "", ErrSyntax}, // extended label type
	}
	for _, tt := range tests {
		in := []byte(tt.in)
		got, err := FromWire(in)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("FromWire(%q): got %q, %v; want %q, %v", tt.in, string(got), err, string(tt.want), tt.err)
		}
		if string(in) != tt.in {
			t.Errorf("FromWire(%q) changed its input to %q", tt.in, in)
		}
	}
}

func TestString(t *testing.T) {
	tests := []struct {
		in   Name
		want string
	}{
		{"", ""},
		{Root, "."},
		{"\x03www\x07example\x00", "www.example."},
		{"\x03a.b\x00", `a\.b.`},
		{"\x0a .'@;()\"\\~\x00", `\ \.\'\@\;\(\)\"\\~.`},
		{"\x05\x00\x09\x7f\x80\xff\x00", `\000\009\127\128\255.`},
		{"\x04$_*!\x00", `$_*!.`},
	}
	for _, tt := range tests {
		if got := tt.in.String(); got != tt.want {
			t.Errorf("%q: got %s, want %s", string(tt.in), got, tt.want)
		}
	}
}

// FuzzParse compares names in presentation form with what miekg/dns, which our
// callers use, makes of them.
func FuzzParse(f *testing.F) {
	f.Add(".")                         // the root
	f.Add("www.example")               // no trailing dot
	f.Add(`a\.b\046\000\255.x.`)       // escapes
	f.Add(`a\`)                        // escape of nothing
	f.Add(`\25`)                       // too few digits
	f.Add("a..b")                      // empty label
	f.Add(longName(255))               // longest name
	f.Add(longName(256))               // one more
	f.Add(label(63) + "." + label(64)) // longest label and one more
	f.Add("\xff\x00 ;")                // bytes that need escapes
	f.Add("\u05fd\\\\")                // character of two bytes before an escaped backslash
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Parse(s)
		if err != nil {
			if n != "" {
				t.Fatalf("name %q beside error %v", string(n), err)
			}
			return
		}
		checkName(t, n)
		if strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 }) {
			return // miekg/dns v1.1.73 counts backslashes after such characters wrongly (IsFqdn)
		}
		var buf [MaxWire + 1]byte
		off, err := dns.PackDomainName(dns.Fqdn(s), buf[:], 0, nil, false)
		if err != nil {
			t.Fatalf("%q: miekg/dns refuses what we take: %v", s, err)
		}
		if want := foldASCII(buf[:off]); string(n) != want {
			t.Fatalf("%q: got %q, miekg/dns has %q", s, string(n), want)
		}
	})
}

// foldASCII lowers the 26 letters and nothing else (RFC 4343 §3).
func foldASCII(b []byte) string {
	folded := bytes.Clone(b)
	for i := range folded {
		if j := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZ", folded[i]); j >= 0 {
			folded[i] = "abcdefghijklmnopqrstuvwxyz"[j]
		}
	}
	return string(folded)
}

// FuzzFromWire holds well-formed names to what every caller relies on.
func FuzzFromWire(f *testing.F) {
	f.Add([]byte("\x00"))                        // the root
	f.Add([]byte("\x03WWW\x07example\x00"))      // upper case
	f.Add([]byte("\x04\x03www\x01.\x00"))        // a length and a dot inside labels
	f.Add([]byte("\x01a\xc0\x00"))               // a pointer
	f.Add([]byte("\x01a\x00\x00"))               // something after the end
	f.Add([]byte("\x40\x00"))                    // a label type of the past
	f.Add([]byte(MustParse(longName(255)) + "")) // longest name
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := FromWire(b)
		if err != nil {
			return
		}
		checkName(t, n)
		if want := foldASCII(b); string(n) != want {
			t.Fatalf("got %q, want %q", string(n), want)
		}
		if Canonical(b) != n || Lower(string(b)) != n {
			t.Fatalf("Canonical returns %q, Lower %q, FromWire %q", string(Canonical(b)), string(Lower(string(b))), string(n))
		}
	})
}

// checkName fails unless n is in its one form, prints as miekg/dns would print it,
// and reads back as itself.
func checkName(t *testing.T, n Name) {
	t.Helper()
	again, err := FromWire([]byte(n))
	if err != nil || again != n {
		t.Fatalf("%q is not canonical wire format: got %q, %v", string(n), string(again), err)
	}
	text, off, err := dns.UnpackDomainName([]byte(n), 0)
	if err != nil || off != len(n) || text != n.String() {
		t.Fatalf("%q prints as %s; miekg/dns has %s, %v", string(n), n, text, err)
	}
	if again, err = Parse(n.String()); err != nil || again != n {
		t.Fatalf("%s reads back as %q, %v; want %q", n, string(again), err, string(n))
	}
	if text := strings.TrimSuffix(n.String(), "."); text != "" && !strings.HasSuffix(text, `\`) {
		if again, err = Parse(text); err != nil || again != n {
			t.Fatalf("%s without its dot reads as %q, %v; want %q", n, string(again), err, string(n))
		}
	}
	labels := 0
	for m := n; !m.IsRoot(); m = m.Parent() {
		if l := m.Label(); l == "" || len(l) > MaxLabel {
			t.Fatalf("%s has the label %q", n, l)
		}
		labels++
	}
	if labels != n.Labels() || labels > MaxLabels {
		t.Fatalf("%s: %d labels by steps, %d counted", n, labels, n.Labels())
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("www.Example.com."); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkString(b *testing.B) {
	n := MustParse("www.example.com.")
	b.ReportAllocs()
	for b.Loop() {
		if n.String() == "" {
			b.Fatal("no text")
		}
	}
}
