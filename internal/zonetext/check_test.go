package zonetext

import (
	"errors"
	"strings"
	"testing"
)

// TestCheckTakes: what is right in zone files is left to the parser.
func TestCheckTakes(t *testing.T) {
	for _, text := range []string{
		"",
		"www A 192.0.2.1\n",
		"ds DS 1 8 2 00\n  3600 IN DS 1 8 2 00\n IN 1h30m A 192.0.2.1\n",
		"m A 192.0.2.1\nh 1w A 192.0.2.1 ; comment\n",
		"@ SOA ns mail (\n 1 ; serial\n 2 3 4 5 )\n",
		"a AAAA ::ffff:192.0.2.1\n",
		"txt TXT \"two words\" three\n",
		"odd TYPE65280 \\# 2 abcd\nodd A \\# 4 c0000201\n",
		"dot\\.ted MX 10 a\\.b\n",
		"$TTL 1h\n$ORIGIN sub\n$GENERATE 1-2 a$ A 192.0.2.$\nwww A 192.0.2.1\n",
		"a CLASS1 A 192.0.2.1\n",
		"mx MX 0 .\n",
	} {
		if err := Check(text); err != nil {
			t.Errorf("%q: got %v", text, err)
		}
	}
	err := Check("www A 192.0.2.1\n\n( www A\n 192.0.2 )\n")
	if e := new(LineError); !errors.As(err, &e) || e.Line != 3 || e.Unwrap() == nil {
		t.Errorf("got %v, want a *LineError of line 3", err)
	}
}

func TestDedent(t *testing.T) {
	for text, want := range map[string]string{
		"www A 192.0.2.1\n":                                        "www A 192.0.2.1\n",
		"\t\twww A 192.0.2.1\n\t\t\tA 192.0.2.2\n":                 "www A 192.0.2.1\n\tA 192.0.2.2\n",
		"  A 192.0.2.1\n  300 A 192.0.2.2\n":                       "  A 192.0.2.1\n  300 A 192.0.2.2\n", // of the origin
		"  www A 192.0.2.1\nmail A 192.0.2.1\n":                    "  www A 192.0.2.1\nmail A 192.0.2.1\n",
		"\n  ; comment\n  www A 192.0.2.1\n  h A 1\n":              "\n  ; comment\nwww A 192.0.2.1\nh A 1\n",
		"  @ SOA ns mail (\n1 2 3 4 5 )\n  h A 1\n":                "@ SOA ns mail (\n 1 2 3 4 5 )\nh A 1\n",
		"@ SOA ns mail (\n1\n\n2 3 4 5 )\nh TXT ( \"a\nb\"\nc )\n": "@ SOA ns mail (\n 1\n\n 2 3 4 5 )\nh TXT ( \"a\nb\"\n c )\n",
	} {
		if got := Dedent(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// FuzzCheck: a mistake is in a line of the text, and taking indentation away loses no line and
// finds nothing new to take away.
func FuzzCheck(f *testing.F) {
	f.Add("www A 192.0.2.1\n")
	f.Add("  m A 192.0.2.1\n$TTL h\n")
	f.Add(")(0\n)B")
	f.Add("  ( a\n)\n  ( b )")
	f.Add("  a MX ( 1\n b )\n  b A 192.0.2.1")
	f.Fuzz(func(t *testing.T, text string) {
		err := Check(text)
		if e := new(LineError); err != nil && (!errors.As(err, &e) || e.Line < 1 || e.Line > 1+strings.Count(text, "\n")) {
			t.Errorf("got %v, want a line of the text", err)
		}
		flat := Dedent(text)
		if strings.Count(flat, "\n") != strings.Count(text, "\n") {
			t.Errorf("got %q, want as many lines", flat)
		}
		if again := Dedent(flat); again != flat {
			t.Errorf("got %q of %q", again, flat)
		}
	})
}
