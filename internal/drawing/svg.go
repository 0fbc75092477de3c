package drawing

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// Measures of the picture, in pixels. The font has a fixed width, so that a text's own is
// known without the font.
const (
	svgMargin   = 24
	svgPad      = 12 // between a box and its text
	svgLine     = 19 // from one line of text to the next
	svgGap      = 18 // above a box and what it hangs by
	svgGlyph    = 7.85
	svgStep     = 28  // of a line that belongs to the one above
	svgMaxText  = 112 // characters of a line; the rest is wrapped
	svgMaxLines = 3   // of a text, as long as that; the rest is cut off
	svgMinWidth = 560
)

// svgFormat is what a picture is drawn for.
type svgFormat struct {
	margin, indent float64 // around all; of a zone below its parent
	width          float64 // of all, where texts are wrapped to fit; 0: as wide as the texts are, up to svgMaxText
}

var (
	wideFormat   = svgFormat{margin: svgMargin, indent: 40}
	narrowFormat = svgFormat{margin: 4, indent: 12, width: 400}
)

// maxIndent is how deep a zone is drawn in a narrow picture, where there must be room for text.
const maxIndent = 8

// x is where a box begins.
func (f svgFormat) x(b *box) float64 {
	depth := b.depth
	if f.width > 0 {
		depth = min(depth, maxIndent)
	}
	return f.margin + f.indent*float64(depth)
}

// fit returns lines that are no longer than there is room for.
func (f svgFormat) fit(lines []svgText, room float64) []svgText {
	most := int(room / svgGlyph)
	if f.width == 0 {
		most = svgMaxText
	}
	var fitting []svgText
	for _, line := range lines {
		for i, text := range wrap(cutTo(line.text, svgMaxLines*svgMaxText), most-int(line.indent()/svgGlyph), svgWrapped) {
			part := line
			part.text, part.wrapped = text, i > 0
			fitting = append(fitting, part)
		}
	}
	return fitting
}

// svgWrapped is how many characters the rest of a wrapped line is indented by.
const svgWrapped = 2

// wrap breaks a text into lines of at most n characters, between words where it can; all but the first
// have less room by an indent.
func wrap(text string, n, indent int) []string {
	rest := []rune(text)
	n = max(n, indent+1)
	var lines []string
	for len(rest) > n {
		at := n
		for i := n; i > n/2; i-- {
			if rest[i] == ' ' {
				at = i
				break
			}
		}
		lines = append(lines, string(rest[:at]))
		rest = rest[at:]
		if rest[0] == ' ' {
			rest = rest[1:]
		}
		if len(lines) == 1 {
			n = max(n-indent, 1)
		}
	}
	return append(lines, string(rest))
}

// svgText is one line of a box.
type svgText struct {
	text, class string
	status      string // that it has the colour of; "": none
	below       bool   // it belongs to the line above
	wrapped     bool   // it is the rest of the line above
}

// indent is how far to the right a line begins.
func (t svgText) indent() float64 {
	indent := 0.0
	if t.below {
		indent = svgStep
	}
	if t.wrapped {
		indent += svgWrapped * svgGlyph
	}
	return indent
}

// SVG draws a picture: each zone a box, below and to the right of the one it hangs below. It is a
// file of its own, which follows the reader's choice of a light or a dark scheme.
func SVG(p *Picture) string {
	return drawSVG(p, wideFormat).document(p, "picture", "<style>\n"+Style()+"</style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n")
}

// InlineSVG is SVG as an element for a page of HTML that has [Style] among its styles: it has no
// style of its own, so that a Content-Security-Policy may forbid inline styles.
func InlineSVG(p *Picture) string { return drawSVG(p, wideFormat).document(p, "picture", "") }

// NarrowSVG is InlineSVG for narrow screens: no wider than one, with its texts wrapped. It has the class
// narrow too.
func NarrowSVG(p *Picture) string {
	return drawSVG(p, narrowFormat).document(p, "picture narrow", "")
}

func drawSVG(p *Picture, f svgFormat) *svgDrawing {
	d := &svgDrawing{right: svgMinWidth, svgFormat: f}
	if f.width > 0 {
		d.right = f.width - f.margin
	}
	for _, b := range p.boxes {
		if f.width > 0 {
			break
		}
		x := f.x(b)
		for _, line := range append(b.texts(), b.linkTexts()...) {
			d.right = max(d.right, x+2*svgPad+line.indent()+svgWidth(line.text))
		}
		d.right = max(d.right, x+2*svgPad+svgWidth(b.name+"   "+b.look().text))
	}
	for _, text := range append([]string{p.title, p.outcome}, p.aliases...) {
		if f.width == 0 {
			d.right = max(d.right, f.margin+svgWidth(text))
		}
	}
	d.head(p)
	for _, b := range p.boxes {
		d.box(b)
	}
	d.legend(p)
	return d
}

// svgWidth is how wide a text is drawn.
func svgWidth(text string) float64 { return svgGlyph * float64(utf8.RuneCountInString(cut(text))) }

// cut shortens a text to what is drawn of it in one line.
func cut(text string) string { return cutTo(text, svgMaxText) }

func cutTo(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:n-1]) + "…"
}

// texts are the lines within a box, below its name.
func (b *box) texts() []svgText {
	var lines []svgText
	for _, text := range []string{b.why, b.note} {
		if text != "" {
			lines = append(lines, svgText{text: text, class: "why", status: b.status.String()})
		}
	}
	for _, k := range firsts(b.keys) {
		text := "⚷ key " + keyText(k.Key)
		if role := k.role(); role != "" {
			text += " · " + role
		}
		lines = append(lines, svgText{text: text})
	}
	if more := len(b.keys) - maxShown; more > 0 {
		lines = append(lines, svgText{text: "and " + Count(more, "more key"), below: true})
	}
	for _, s := range b.sets {
		lines = append(lines, svgText{text: "■ " + s.Text + " · " + s.verdict(), status: s.Status.String()})
		for _, data := range s.Data {
			lines = append(lines, svgText{text: data, below: true})
		}
	}
	for _, step := range firsts(b.steps) {
		lines = append(lines, svgText{text: "? " + step, class: "walk"})
	}
	if more := len(b.steps) - maxShown; more > 0 {
		lines = append(lines, svgText{text: fmt.Sprintf("and %d more", more), class: "walk", below: true})
	}
	return lines
}

// linkTexts are the lines above a box.
func (b *box) linkTexts() []svgText {
	var lines []svgText
	for _, text := range b.link.texts {
		lines = append(lines, svgText{text: text, class: "link", status: b.link.status.String()})
	}
	return lines
}

// svgDrawing is the picture as far as it has been drawn.
type svgDrawing struct {
	svgFormat
	shapes strings.Builder
	lines  strings.Builder // below the shapes
	y      float64
	right  float64
	drawn  map[*box]float64 // the lower edge of each box
}

func (d *svgDrawing) head(p *Picture) {
	d.y = d.margin + svgLine
	lines := []svgText{{text: p.title, class: "title"}, {text: p.outcome, class: "name", status: p.status.String()}}
	for _, alias := range p.aliases {
		lines = append(lines, svgText{text: alias})
	}
	const title = 1.16 // how much larger its font is
	for _, line := range d.fit(lines, (d.right-d.margin)/title) {
		d.text(d.margin, line)
	}
}

// text draws a line at the height reached and goes to the next.
func (d *svgDrawing) text(x float64, t svgText) {
	fmt.Fprintf(&d.shapes, "<text x=\"%.0f\" y=\"%.0f\"%s>%s</text>\n", x+t.indent(), d.y, classes(t.class, t.status), escaped(cut(t.text)))
	d.y += svgLine
}

func (d *svgDrawing) box(b *box) {
	x, look := d.x(b), b.look()
	d.y += svgGap
	room := d.right - x - 2*svgPad
	for _, line := range d.fit(b.linkTexts(), room) {
		d.text(x+svgPad, line)
	}
	top := d.y - svgLine + 5
	lines := d.fit(append([]svgText{{text: b.name, class: "name"}}, b.texts()...), room)
	corner := 0.0
	if svgWidth(b.name+" "+look.text) > room { // they do not fit into one line
		corner = svgLine
	}
	height := svgLine*float64(len(lines)) + svgPad + corner
	fmt.Fprintf(&d.shapes, "<rect x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"%.0f\" rx=\"6\"%s/>\n",
		x, top, d.right-x, height, classes("box", look.class))
	d.y = top + svgLine
	d.hang(b, x, d.y-5)
	fmt.Fprintf(&d.shapes, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"end\"%s>%s</text>\n",
		d.right-svgPad, d.y, classes("name", look.class), escaped(look.text))
	d.y += corner
	for _, line := range lines {
		d.text(x+svgPad, line)
	}
	if d.drawn == nil {
		d.drawn = make(map[*box]float64)
	}
	d.drawn[b] = top + height
	d.y = top + height + svgLine
}

// hang draws the line from the box above to the left edge of a box.
func (d *svgDrawing) hang(b *box, x, y float64) {
	if b.above == nil {
		return
	}
	from := d.x(b.above) + d.indent/2
	fmt.Fprintf(&d.lines, "<path d=\"M %.0f %.0f V %.0f H %.0f\"%s/>\n", from, d.drawn[b.above], y, x-2, classes("line", b.linkLook()))
	fmt.Fprintf(&d.lines, "<path d=\"M %.0f %.0f l -9 -5 v 10 z\"%s/>\n", x-1, y, classes("head", b.linkLook()))
}

// legend says what the colours and the signs mean.
func (d *svgDrawing) legend(p *Picture) {
	d.y += svgGap
	for _, l := range p.looks() {
		fmt.Fprintf(&d.shapes, "<rect x=\"%.0f\" y=\"%.0f\" width=\"14\" height=\"14\" rx=\"3\"%s/>\n",
			d.margin, d.y-12, classes("box", l.class))
		const from = 22
		for _, line := range d.fit([]svgText{{text: l.text}}, d.right-d.margin-from) {
			d.text(d.margin+from, line)
		}
	}
	signs := []svgText{{text: "⚷ key of the zone, ■ part of the answer, ? what its servers were asked", class: "walk"}}
	for _, line := range d.fit(signs, d.right-d.margin) {
		d.text(d.margin, line)
	}
}

// looks are the classes in the picture, each with what it means.
func (p *Picture) looks() []look {
	all := []look{
		{dnssec.Secure.String(), "secure: signed, up to a trust anchor", 0},
		{dnssec.Insecure.String(), "insecure: proven not to be signed", 0},
		{dnssec.Bogus.String(), "bogus: validation failed here", 0},
		{dnssec.Indeterminate.String(), "indeterminate: not validated", 0},
		{wayLook.class, "on the way: its servers were asked, nothing here was validated", 0},
	}
	return slices.DeleteFunc(all, func(l look) bool {
		return !slices.ContainsFunc(p.boxes, func(b *box) bool { return b.look().class == l.class })
	})
}

// classes returns a class attribute; "" without any class.
func classes(names ...string) string {
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" })
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf(" class=%q", strings.Join(names, " "))
}

// document returns the picture; style is what stands before its shapes.
func (d *svgDrawing) document(p *Picture, class, style string) string {
	width, height := d.right+d.margin, d.y+svgMargin-svgLine
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" class="%s" role="img" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f">
<title>%s</title>
<desc>%s</desc>
%s%s%s</svg>
`, class, width, height, width, height, escaped(p.title), escaped(p.description()), style, d.lines.String(), d.shapes.String())
}

// description says in words what the picture shows.
func (p *Picture) description() string {
	texts := []string{p.outcome}
	for _, b := range p.boxes {
		text := quoted(b.name) + " is " + b.look().text
		if b.holdsBogus() {
			text = quoted(b.name) + " has secure keys and bogus data"
		}
		if b.why != "" {
			text += ", " + b.why
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; ")
}

// escaped makes a text of XML; what XML cannot hold becomes U+FFFD.
func escaped(text string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(resolver.Printable(text))) // a Builder does not fail
	return b.String()
}
