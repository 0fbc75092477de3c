package drawing

import (
	"encoding/xml"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// hostilePicture has a text that comes from the network wherever there can be one.
func hostilePicture(text string) *Picture {
	p := &Picture{title: text, outcome: text, status: dnssec.Bogus, aliases: []string{text}}
	for _, name := range []string{".", text, "below." + text} {
		p.boxes = append(p.boxes, &box{
			name: name, status: dnssec.Insecure, why: text, link: link{texts: []string{text}},
			keys:  slices.Repeat([]Key{{}}, 2*maxShown),
			sets:  []Set{{Text: text, Data: []string{text}, Note: text}},
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
		checkSVG(t, SVG(p))
		checkSVG(t, InlineSVG(p))
		checkSVG(t, NarrowSVG(p))
		checkDot(t, Dot(p))
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
		case "svg", "title", "desc", "style", "text", "path":
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
	p := &Picture{}
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
func TestJudgeErrors(t *testing.T) {
	if _, err := Judge(nil, resolver.Options{}, time.Now()); err == nil {
		t.Error("without evidence: got no error")
	}
	alone := []dnssec.Link{{Name: "\x07example\x00", Type: dns.TypeA, Kind: dnssec.KindNoData}}
	if _, err := Judge(alone, resolver.Options{}, time.Now()); err == nil {
		t.Error("with the answer alone: got no error")
	}
}
