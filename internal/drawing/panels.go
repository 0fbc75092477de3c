package drawing

import (
	"fmt"

	"github.com/iterdns/iterdns/dnssec"
)

// Panel is a box with lines of text, in the colours of a status.
type Panel struct {
	Name   string
	Status dnssec.Status
	Lines  []string
}

// maxPanels is how many rows of panels are drawn: more are no picture any more.
const maxPanels = 64

// PanelsSVG draws rows of panels, those of a row side by side, below a title, an outcome and notes. It
// is a file of its own, as SVG makes it.
func PanelsSVG(title, outcome string, status dnssec.Status, notes []string, rows [][]Panel) string {
	p := &Picture{title: title, outcome: OneLine(outcome), status: status}
	for _, note := range firsts(notes) {
		p.aliases = append(p.aliases, OneLine(note))
	}
	rows = rows[:min(len(rows), maxPanels)]
	d := &svgDrawing{right: svgMinWidth, svgFormat: wideFormat}
	for _, text := range append([]string{p.title, p.outcome}, p.aliases...) {
		d.right = max(d.right, svgMargin+svgWidth(text))
	}
	for _, row := range rows {
		x := float64(svgMargin)
		for _, panel := range row {
			x += panel.width() + svgGap
		}
		d.right = max(d.right, x-svgGap)
	}
	d.head(p)
	for _, row := range rows {
		d.row(row)
	}
	return d.document(p, "picture", "<style>\n"+Style()+"</style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n")
}

// width is how wide a panel has to be for its texts.
func (p *Panel) width() float64 {
	width := svgWidth(p.Name)
	for _, line := range firsts(p.Lines) {
		width = max(width, svgWidth(line))
	}
	return width + 2*svgPad
}

// row draws panels side by side, all of the height of the longest.
func (d *svgDrawing) row(row []Panel) {
	d.y += svgGap
	top, lines := d.y-svgLine+5, 0
	for _, p := range row {
		lines = max(lines, len(firsts(p.Lines)))
	}
	height := svgLine*float64(lines+1) + svgPad
	x := float64(svgMargin)
	for _, p := range row {
		fmt.Fprintf(&d.shapes, "<rect x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"%.0f\" rx=\"6\"%s/>\n",
			x, top, p.width(), height, classes("box", p.Status.String()))
		d.y = top + svgLine
		d.text(x+svgPad, svgText{text: p.Name, class: "name"})
		for _, line := range firsts(p.Lines) {
			d.text(x+svgPad, svgText{text: line})
		}
		x += p.width() + svgGap
	}
	d.y = top + height + svgLine
}
