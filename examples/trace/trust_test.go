package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

// trustCases are questions of testdata/trust.txt, one for each way a chain of trust ends.
var trustCases = []struct {
	golden, name, qtype string
	bogus               bool
}{
	{"secure", "www.shop.example", "A", false},
	{"alias-to-insecure", "away.shop.example", "A", false},
	{"alias-secure", "cdn.shop.example", "A", false},
	{"nameerror-nsec3", "missing.shop.example", "A", false},
	{"wildcard", "a.wild.shop.example", "A", false},
	{"bogus-expired", "www.broken.example", "A", true},
	{"bogus-ds", "www.rolled.example", "A", true},
}

// The chain of trust, in each form, and the pictures. What comes before it are the steps
// of the walk, of which those beside each other may come in either order.
func TestTrustGolden(t *testing.T) {
	for _, test := range trustCases {
		for _, form := range []string{"plain", "-tree", "-json"} {
			t.Run(test.golden+form, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					args := []string{"-dnssec", "-4", test.name, test.qtype}
					if form != "plain" {
						args = append(args, form)
					}
					printed, err := virtual(t, "testdata/trust.txt", args...)
					if (err != nil) != test.bogus {
						t.Fatalf("got %v, want an error: %t", err, test.bogus)
					}
					compare(t, filepath.Join("testdata", "trust-"+test.golden+"-"+strings.TrimLeft(form, "-")+".golden"), chainPart(t, printed))
				})
			})
		}
		for _, ending := range []string{"svg", "dot"} {
			t.Run(test.golden+"-"+ending, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					file := filepath.Join(t.TempDir(), "picture."+ending)
					_, _ = virtual(t, "testdata/trust.txt", "-graph", file, "-4", test.name, test.qtype) // the error is looked at above
					drawn, err := os.ReadFile(file)
					if err != nil {
						t.Fatal(err)
					}
					compare(t, filepath.Join("testdata", "trust-"+test.golden+"."+ending), string(drawn))
				})
			})
		}
	}
}

// chainPart returns what is printed of the chain of trust.
func chainPart(t *testing.T, printed string) string {
	t.Helper()
	begin := strings.Index(printed, "chain of trust")
	if first := strings.Index(printed, `{"event":"trust"`); begin < 0 {
		begin = first
	}
	if begin < 0 {
		t.Fatalf("no chain of trust in\n%s", printed)
	}
	return printed[begin:]
}

// TestTrustJSON reads the events back: they say what a program needs to know.
func TestTrustJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		printed, err := virtual(t, "testdata/trust.txt", "-json", "-dnssec", "-4", "away.shop.example")
		if err != nil {
			t.Fatal(err)
		}
		status := make(map[string]string)
		for _, e := range readEvents(t, printed) {
			if e.Event == "trust" {
				status[e.Zone] = e.Status
			}
			if e.Event == "trust" && e.Zone == "shop.example." && (len(e.Keys) != 2 || len(e.DS) != 1 || len(e.Sets) != 1) {
				t.Errorf("got %+v, want two keys, a DS and a set", e)
			}
			if e.Event == "verdict" && (e.Status != "insecure" || !strings.Contains(e.Extended, "plain.example.")) {
				t.Errorf("got %+v, want insecure for plain.example.", e)
			}
		}
		want := map[string]string{".": "secure", "example.": "secure", "shop.example.": "secure", "plain.example.": "insecure"}
		for zone, s := range want {
			if status[zone] != s || len(status) != len(want) {
				t.Errorf("got %v, want %v", status, want)
			}
		}
	})
}

// Where nothing is validated there is no chain of trust; the walk is drawn nevertheless.
func TestGraphOfUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "picture.svg")
		_, err := virtual(t, "testdata/broken.txt", "-graph", file, "-4", "www.shop.example")
		if err == nil {
			t.Fatal("got an answer, want an error")
		}
		drawn, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		checkSVG(t, string(drawn))
		if !strings.Contains(string(drawn), "SERVFAIL") {
			t.Errorf("got\n%s\nwant what the server said", drawn)
		}
	})
}

func TestGraphNeedsAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := virtual(t, "testdata/trust.txt", "-graph", filepath.Join(t.TempDir(), "no", "such.svg"), "-4", "www.shop.example")
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v, want %v", err, os.ErrNotExist)
		}
	})
}

// hostilePicture has a text that comes from the network wherever there can be one.
func hostilePicture(text string) *picture {
	p := &picture{title: text, outcome: text, status: dnssec.Bogus, aliases: []string{text}}
	for _, name := range []string{".", text, "below." + text} {
		p.boxes = append(p.boxes, &box{
			name: name, status: dnssec.Insecure, why: text, link: link{texts: []string{text}},
			keys:  slices.Repeat([]trustKey{{}}, 2*maxShown),
			sets:  []trustSet{{text: text, data: []string{text}, note: text}},
			steps: slices.Repeat([]string{text}, 2*maxShown),
		})
	}
	p.arrange()
	return p
}

// FuzzPicture: whatever a text is, the picture is well-formed, and the text stays text.
func FuzzPicture(f *testing.F) {
	for _, text := range []string{
		"", "example.", `a\"b\000.example.`, `</text><script>alert(1)</script>`, "&lt;", "\x00\x1b[31m\xff", "line\nline", `\`, `"`,
		strings.Repeat("a", 1000), "ä.example.", "]]>",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p := hostilePicture(text)
		checkSVG(t, svg(p))
		checkDot(t, dot(p))
	})
}

// checkSVG reads a picture as XML: it has no elements but those that are drawn, and no
// box stands on another that it is not below of.
func checkSVG(t *testing.T, drawn string) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(drawn))
	bottom := 0.0
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, drawn)
		}
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch element.Name.Local {
		case "svg", "style", "text", "path":
		case "rect":
			y, height := number(t, element, "y"), number(t, element, "height")
			if height > 14 { // of the legend
				if y < bottom {
					t.Errorf("a box begins at %v, above the end of the last one at %v, in\n%s", y, bottom, drawn)
				}
				bottom = y + height
			}
		default:
			t.Fatalf("an element %s in\n%s", element.Name.Local, drawn)
		}
	}
}

func number(t *testing.T, e xml.StartElement, name string) float64 {
	t.Helper()
	for _, a := range e.Attr {
		if a.Name.Local == name && a.Value != "100%" {
			n, err := strconv.ParseFloat(a.Value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	return 0
}

var (
	dotString = regexp.MustCompile(`"(\\.|[^"\\\n])*"`)
	dotLine   = regexp.MustCompile(`^(digraph trust \{|\}|\t[a-z0-9 ;=,\->\[\]S]*)$`)
)

// checkDot looks at what is left of each line without its strings.
func checkDot(t *testing.T, drawn string) {
	t.Helper()
	for line := range strings.Lines(drawn) {
		if rest := strings.TrimSuffix(dotString.ReplaceAllString(line, "S"), "\n"); !dotLine.MatchString(rest) {
			t.Fatalf("line %q, without strings %q", line, rest)
		}
	}
}

// A zone below many, and zones of two branches, each hang below the right one.
func TestArrange(t *testing.T) {
	p := &picture{}
	for _, name := range []string{"c.b.example.", "example.", "net.", ".", "b.example.", "a.net.", "x.y.b.example."} {
		p.boxes = append(p.boxes, &box{name: name})
	}
	p.arrange()
	var got []string
	for _, b := range p.boxes {
		above := ""
		if b.above != nil {
			above = b.above.name
		}
		got = append(got, strconv.Itoa(b.depth)+" "+b.name+" < "+above)
	}
	want := []string{
		"0 . < ", "1 example. < .", "2 b.example. < example.", "3 c.b.example. < b.example.", "3 x.y.b.example. < b.example.",
		"1 net. < .", "2 a.net. < net.",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// What is wrong with evidence is said.
func TestJudgeTrustErrors(t *testing.T) {
	if _, err := judgeTrust(nil, internet{}.options, (&internet{}).signatureTime()); err == nil {
		t.Error("without evidence: got no error")
	}
	alone := []dnssec.Link{{Name: "\x07example\x00", Type: dns.TypeA, Kind: dnssec.KindNoData}}
	if _, err := judgeTrust(alone, internet{}.options, (&internet{}).signatureTime()); err == nil {
		t.Error("with the answer alone: got no error")
	}
}
