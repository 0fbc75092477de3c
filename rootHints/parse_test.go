package roothints

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// text writes hints as "name addr addr, name addr".
func text(d *glue.Delegation) string {
	var servers []string
	for _, s := range d.Servers {
		var server strings.Builder
		server.WriteString(s.Name.String())
		for _, a := range s.Addrs {
			server.WriteString(" " + a.String())
		}
		servers = append(servers, server.String())
	}
	return strings.Join(servers, ", ")
}

func TestParse(t *testing.T) {
	const one = "ns.example. 192.0.2.1"
	tests := []struct{ name, in, want string }{
		{"plain", ". NS ns.example.\nns.example. A 192.0.2.1\n", one},
		{"no line end at the end", ". NS ns.example.\nns.example. A 192.0.2.1", one},
		{"CRLF", ". NS ns.example.\r\nns.example. A 192.0.2.1\r\n", one},
		{"letter case", ". in ns NS.Example.\nnS.eXample. a 192.0.2.1", one},
		{"tabs and blanks", ".\t \tNS   ns.example. \t\nns.example.\tA\t192.0.2.1 \n", one},
		{"comments", "; first\n. NS ns.example.;glued\n ; indented\n\n  \nns.example. A 192.0.2.1 ; last", one},
		{"TTL then class", ". 3600000 IN NS ns.example.\nns.example. 1d12h IN A 192.0.2.1", one},
		{"class then TTL", ". IN 3600000 NS ns.example.\nns.example. IN 2147483647 A 192.0.2.1", one},
		{"$TTL", "$TTL 6w\n. NS ns.example.\nns.example. A 192.0.2.1", one},
		{"$ORIGIN", "$ORIGIN example.\n. NS ns\nns A 192.0.2.1", one},
		{"$ORIGIN twice, relative", "$ORIGIN example.\n. NS a.b\n$origin b\na A 192.0.2.1", "a.b.example. 192.0.2.1"},
		{"origin is the root at first", "@ NS ns.example\nns.example A 192.0.2.1", one},
		{"origin as owner", ". NS ns.example.\n$ORIGIN ns.example.\n@ A 192.0.2.1", one},
		{"owner left out", ". NS ns.example.\nns.example. A 192.0.2.1\n AAAA 2001:db8::1\n\tAAAA 2001:db8::2",
			one + " 2001:db8::1 2001:db8::2"},
		{"parentheses", ". 518400 ( ; opens\n IN\nNS ) ns.example.\nns.example. A (\n192.0.2.1\n)\n", one},
		{"addresses first", "ns.example. A 192.0.2.1\n. NS ns.example.", one},
		{"repeated records", ". NS ns.example.\n. NS NS.example.\nns.example. A 192.0.2.1\nns.example. A 192.0.2.1", one},
		{"order is kept", ". NS b.example.\n. NS a.example.\na.example. AAAA 2001:db8::1\nb.example. A 192.0.2.2\na.example. A 192.0.2.1",
			"b.example. 192.0.2.2, a.example. 2001:db8::1 192.0.2.1"},
		{"private and loopback addresses", ". NS ns.example.\nns.example. A 127.0.0.1\nns.example. A 10.0.0.1\nns.example. AAAA ::1",
			"ns.example. 127.0.0.1 10.0.0.1 ::1"},
		{"escapes", ". NS n\\.s\\046\\;.example.\nn\\.s\\.\\059.example. A 192.0.2.1", `n\.s\.\;.example. 192.0.2.1`},
		{"escaped last dot is relative", "$ORIGIN example.\n. NS ns\\.\nns\\. A 192.0.2.1", `ns\..example. 192.0.2.1`},
		{"escaped last backslash is absolute", "$ORIGIN example.\n. NS ns\\\\.\nns\\\\. A 192.0.2.1", `ns\\. 192.0.2.1`},
		{"dollar inside an owner", ". NS a$b.example.\na$b.example. A 192.0.2.1", "a$b.example. 192.0.2.1"},
		{"13 names, 6 addresses", full(13, 6), text(mustParse(t, full(13, 6)))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := Parse(strings.NewReader(tt.in))
			if err != nil {
				t.Fatalf("got error %v, want %s", err, tt.want)
			}
			if got := text(d); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if d.Zone != dnsname.Root || d.TTL != 0 {
				t.Errorf("zone %s, TTL %s; want the root, 0", d.Zone, d.TTL)
			}
		})
	}
}

// full writes hints with the given number of names and addresses of each.
func full(names, addrs int) string {
	var b strings.Builder
	for n := range names {
		fmt.Fprintf(&b, ". NS n%d.example.\n", n)
		for a := range addrs {
			fmt.Fprintf(&b, "n%d.example. AAAA 2001:db8::%x:%x\n", n, n+1, a+1)
		}
	}
	return b.String()
}

func mustParse(t *testing.T, in string) *glue.Delegation {
	t.Helper()
	d, err := Parse(strings.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestParseRefuses(t *testing.T) {
	const ok = ". NS ns.example.\nns.example. A 192.0.2.1\n" // two good lines
	label64 := strings.Repeat("a", 64)
	name256 := strings.Repeat(strings.Repeat("a", 63)+".", 4)
	tests := []struct {
		name, in string
		line     int
		want     error
	}{
		{"nothing", "", 1, ErrNoServers},
		{"only comments", "; one\n; two\n", 3, ErrNoServers},
		{"addresses only", "ns.example. A 192.0.2.1\n", 2, ErrNoServers},
		{"no address", ". NS a.example.\n. NS b.example.\na.example. A 192.0.2.1", 2, ErrNoAddress},
		{"address of nobody", ok + "n.example. A 192.0.2.1", 3, ErrForeignOwner},
		{"address of the root", ok + "\n. A 192.0.2.1", 4, ErrForeignOwner},
		{"name server of another zone", ok + "example. NS ns.example.", 3, ErrForeignOwner},
		{"SOA", ok + ". SOA ns.example. host.example. 1 2 3 4 5", 3, ErrForeignType},
		{"RRSIG", ok + ". 518400 IN RRSIG NS 8 0 518400 1 2 3 . AAAA", 3, ErrForeignType},
		{"type by number", ok + ". TYPE2 ns.example.", 3, ErrForeignType},
		{"class by number", ok + ". CLASS1 NS ns.example.", 3, ErrForeignType},
		{"two TTLs", ok + ". 1 2 NS ns.example.", 3, ErrForeignType},
		{"two classes", ok + ". IN IN NS ns.example.", 3, ErrForeignType},
		{"class CH", ok + ". CH NS ns.example.", 3, ErrClass},
		{"class hs", ok + ". 1 hs NS ns.example.", 3, ErrClass},
		{"$INCLUDE", ok + "$INCLUDE /etc/passwd", 3, ErrDirective},
		{"$GENERATE", ok + "$GENERATE 1-9 ns$.example. A 192.0.2.$", 3, ErrDirective},
		{"unknown directive", ok + "$", 3, ErrDirective},
		{"$TTL without value", "$TTL\n" + ok, 1, ErrSyntax},
		{"$TTL with two values", "$TTL 1 2\n" + ok, 1, ErrSyntax},
		{"$TTL that is none", "$TTL forever\n" + ok, 1, ErrTTL},
		{"$ORIGIN without value", "$ORIGIN\n" + ok, 1, ErrSyntax},
		{"$ORIGIN that is no name", "$ORIGIN a..example.\n" + ok, 1, dnsname.ErrEmptyLabel},
		{"14 names", full(14, 1), 27, ErrTooManyServers},
		{"7 addresses", full(1, 7), 8, ErrTooManyAddrs},
		{"IPv6 address in A", ok + "ns.example. A 2001:db8::1", 3, ErrAddress},
		{"IPv4 address in AAAA", ok + "ns.example. AAAA 192.0.2.1", 3, ErrAddress},
		{"mapped address", ok + "ns.example. AAAA ::ffff:192.0.2.1", 3, ErrAddress},
		{"address with a zone", ok + "ns.example. AAAA fe80::1%eth0", 3, ErrAddress},
		{"three bytes", ok + "ns.example. A 192.0.2", 3, ErrAddress},
		{"unspecified", ok + "ns.example. A 0.0.0.0", 3, ErrAddress},
		{"unspecified IPv6", ok + "ns.example. AAAA ::", 3, ErrAddress},
		{"multicast", ok + "ns.example. A 224.0.0.251", 3, ErrAddress},
		{"TTL over 2^31-1", ok + ". 2147483648 NS ns.example.", 3, ErrTTL},
		{"TTL over 2^31-1 by units", ok + ". 9999w NS ns.example.", 3, ErrTTL},
		{"TTL over 2^31-1 by addition", ok + ". 2147483647s1 NS ns.example.", 3, ErrTTL},
		{"TTL of 2^64+1", ok + ". 18446744073709551617 NS ns.example.", 3, ErrTTL},
		{"TTL of 2^64+1, with unit", ok + ". 18446744073709551617s NS ns.example.", 3, ErrTTL},
		{"TTL with unknown unit", ok + ". 1y NS ns.example.", 3, ErrTTL},
		{"TTL unit without number", ok + ". 1dd NS ns.example.", 3, ErrTTL},
		{"record without type", ok + ". 1 IN", 3, ErrSyntax},
		{"owner alone", ok + ".", 3, ErrSyntax},
		{"record without data", ok + ". NS", 3, ErrSyntax},
		{"two targets", ok + ". NS a.example. b.example.", 3, ErrSyntax},
		{"no owner to repeat", "\n NS ns.example.", 2, ErrSyntax},
		{"empty label in owner", ok + "a..example. A 192.0.2.1", 3, dnsname.ErrEmptyLabel},
		{"empty label in target", ok + ". NS .example.", 3, dnsname.ErrEmptyLabel},
		{"label of 64 bytes", ok + ". NS " + label64 + ".example.", 3, dnsname.ErrLabelTooLong},
		{"name of 256 bytes", ok + ". NS " + name256, 3, dnsname.ErrTooLong},
		{"name too long by its origin", "$ORIGIN " + name256[:192] + "\n. NS " + name256[:64-1] + "\n", 2, dnsname.ErrTooLong},
		{"escape over 255", ok + `. NS \256.example.`, 3, dnsname.ErrEscape},
		{"parenthesis never closed", ok + ". NS (\n\nns.example.\n", 3, ErrSyntax},
		{"parenthesis never opened", ok + ". NS ns.example. )", 3, ErrSyntax},
		{"parenthesis in a parenthesis", ok + ". NS (\n( ns.example. ))", 4, ErrSyntax},
		{"error inside parentheses", ok + ". NS (\nns..example.\n)", 4, dnsname.ErrEmptyLabel},
		{"quotation marks", ok + `. NS "ns.example."`, 3, ErrSyntax},
		{"byte order mark", "\ufeff" + ok, 1, ErrSyntax},
		{"NUL", ok + ". NS ns\x00.example.", 3, ErrSyntax},
		{"byte over 127", ok + ". NS n\xff.example.", 3, ErrSyntax},
		{"backslash at the end", ok + `. NS ns\`, 3, ErrSyntax},
		{"backslash before a line end", ok + ". NS ns\\\n", 3, ErrSyntax},
		{"too large", ok + strings.Repeat("; comment\n", 7000), 6552, ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := Parse(strings.NewReader(tt.in))
			var pe *ParseError
			if !errors.As(err, &pe) {
				t.Fatalf("got %v, %v; want a *ParseError: %v", d, err, tt.want)
			}
			if !errors.Is(err, tt.want) || pe.Line != tt.line {
				t.Errorf("got %v; want line %d: %v", err, tt.line, tt.want)
			}
			if d != nil {
				t.Errorf("hints beside the error: %v", d)
			}
			if want := fmt.Sprintf("root hints: line %d: ", tt.line); !strings.HasPrefix(err.Error(), want) {
				t.Errorf("got %q, want it to begin with %q", err, want)
			}
		})
	}
}

// What is too large is not read to its end.
func TestParseStopsReading(t *testing.T) {
	endless := &countingReader{r: strings.NewReader(strings.Repeat("; comment\n", 100_000))}
	if _, err := Parse(endless); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want %v", err, ErrTooLarge)
	}
	if endless.n > maxSize+1 {
		t.Errorf("read %d bytes, want at most %d", endless.n, maxSize+1)
	}
}

type countingReader struct {
	r io.Reader
	n int
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func TestParseReadError(t *testing.T) {
	broken := errors.New("disk on fire")
	d, err := Parse(iotest.ErrReader(broken))
	if d != nil || !errors.Is(err, broken) {
		t.Errorf("got %v, %v; want an error that wraps %v", d, err, broken)
	}
	var pe *ParseError
	if errors.As(err, &pe) {
		t.Errorf("got %v with a line number, though no line is to blame", err)
	}
}

// FuzzParse holds Parse to what its callers rely on: no panic, an error with a
// line of the text or hints that can be used, and the same hints when they are
// written out and read again.
func FuzzParse(f *testing.F) {
	f.Add(namedRoot)                                                              // what is embedded
	f.Add(". NS ns.example.\nns.example. A 192.0.2.1")                            // no line end
	f.Add("$ORIGIN example.\n$TTL 1d\n@ 1h IN NS a\n A ( 192.0.2.1\n) ; x")       // most of the syntax
	f.Add(". IN 1 NS a\\.b\\255.\na\\.b\\255. AAAA 2001:db8::1\n AAAA fe80::1%e") // escapes, zone
	f.Add("$INCLUDE x\n(\n)\\")                                                   // refused things
	f.Add(strings.Repeat("(", 10) + "\n\r\t;")                                    // parentheses
	f.Add(full(14, 7))                                                            // over the limits
	f.Fuzz(func(t *testing.T, in string) {
		d, err := Parse(strings.NewReader(in))
		if err != nil {
			var pe *ParseError
			if !errors.As(err, &pe) || pe.Line < 1 || pe.Line > 1+strings.Count(in, "\n") {
				t.Fatalf("got %v, want a *ParseError for one of the lines", err)
			}
			return
		}
		if len(d.Servers) == 0 || len(d.Servers) > glue.MaxServers {
			t.Fatalf("%d servers", len(d.Servers))
		}
		var out strings.Builder
		for _, s := range d.Servers {
			if len(s.Addrs) == 0 || len(s.Addrs) > glue.MaxAddrs {
				t.Fatalf("%s has %d addresses", s.Name, len(s.Addrs))
			}
			fmt.Fprintf(&out, ". NS %s\n", s.Name)
			for _, a := range s.Addrs {
				fmt.Fprintf(&out, "%s %s %s\n", s.Name, rrtype(a), a)
			}
		}
		again, err := Parse(strings.NewReader(out.String()))
		if err != nil {
			t.Fatalf("reading\n%s: %v", &out, err)
		}
		if got, want := text(again), text(d); got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	})
}

func rrtype(a netip.Addr) string {
	if a.Is4() {
		return "A"
	}
	return "AAAA"
}
