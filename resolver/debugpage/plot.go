package debugpage

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
)

// Measures of a plot, in the units of its own picture, which is scaled to the page.
const (
	plotWidth, plotHeight = 360.0, 150.0
	plotLeft, plotRight   = 52.0, 10.0 // around the plot itself
	plotTop, plotBottom   = 10.0, 22.0
)

// series is a line of a plot.
type series struct {
	Name   string
	Class  string    // of the style sheet
	values []float64 // NaN: none
}

// plot is a small picture with what it shows in words.
type plot struct {
	Title   string
	Now     string // the last value, written out
	Legend  []series
	Note    string // what is counted, where Legend does not say it
	Picture template.HTML
}

// scale is what the axis of a plot counts.
type scale struct {
	write   func(float64) string
	ceiling func(float64) float64 // where the axis ends, for the largest value
}

var (
	rates    = scale{func(v float64) string { return short(v) + "/s" }, ceiling}
	numbers  = scale{short, ceiling}
	percents = scale{func(v float64) string { return trimmed(v) + " %" }, func(float64) float64 { return 100 }}
	bytes    = scale{func(v float64) string { return size(int64(v)) }, func(v float64) float64 {
		return math.Exp2(math.Ceil(math.Log2(max(v, 1024))))
	}}
)

// linePlot draws values over time: one for each span between two of the times.
func linePlot(title string, times []time.Time, axis scale, lines ...series) plot {
	p := plot{Title: title, Legend: lines, Now: "–"}
	top := 0.0
	for _, line := range lines {
		for _, v := range line.values {
			if !math.IsNaN(v) {
				top = max(top, v)
			}
		}
	}
	top, write := axis.ceiling(top), axis.write
	last := func(s series) string {
		for i := len(s.values) - 1; i >= 0; i-- {
			if !math.IsNaN(s.values[i]) {
				return write(s.values[i])
			}
		}
		return "–"
	}
	var about []string
	for _, line := range lines {
		about = append(about, line.Name+": "+last(line))
	}
	if len(lines) > 0 {
		p.Now = last(lines[0])
	}
	d := newPlotDrawing(title, strings.Join(about, ", ")+" at the end; the axis ends at "+write(top))
	d.axis(top, write)
	if len(times) > 0 {
		d.label(plotLeft, plotHeight-6, "start", "−"+span(times[len(times)-1].Sub(times[0])))
		d.label(plotWidth-plotRight, plotHeight-6, "end", "now")
	}
	for _, line := range lines {
		d.line(times, line, top)
	}
	p.Picture = d.end()
	return p
}

// barPlot draws how many times fell into each bucket of a histogram.
func barPlot(title, note string, counts []uint64) plot {
	var sum, top uint64
	for _, n := range counts {
		sum, top = sum+n, max(top, n)
	}
	p := plot{Title: title, Note: note, Now: "none yet"}
	if sum > 0 {
		p.Now = "median " + medianOf(counts, sum)
	}
	limit := ceiling(float64(top))
	d := newPlotDrawing(title, fmt.Sprintf("%s times, %s", number(sum), p.Now))
	d.axis(limit, short)
	width := (plotWidth - plotLeft - plotRight) / float64(len(counts))
	for i, n := range counts {
		x := plotLeft + width*float64(i)
		if n > 0 {
			height := max((plotHeight-plotTop-plotBottom)*float64(n)/limit, 1)
			fmt.Fprintf(&d.b, `<rect class="bar" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s: %s</title></rect>`+"\n",
				x+1.5, plotHeight-plotBottom-height, width-3, height, bucketName(i), number(n))
		}
		d.label(x+width/2, plotHeight-6, "middle", bucketLabel(i))
	}
	p.Picture = d.end()
	return p
}

// medianOf says in which bucket the median is.
func medianOf(counts []uint64, sum uint64) string {
	var below uint64
	for i, n := range counts {
		if below += n; 2*below >= sum {
			return bucketName(i)
		}
	}
	return ""
}

// bucketLabel is the upper bound of a bucket on the axis: in milliseconds below a second.
func bucketLabel(i int) string {
	switch {
	case i == len(bounds):
		return ">5s"
	case bounds[i] < time.Second:
		return strconv.Itoa(int(bounds[i].Milliseconds()))
	}
	return strconv.Itoa(int(bounds[i].Seconds())) + "s"
}

func boundText(i int) string {
	if bounds[i] < time.Second {
		return fmt.Sprintf("%d ms", bounds[i].Milliseconds())
	}
	return fmt.Sprintf("%d s", bounds[i]/time.Second)
}

func bucketName(i int) string {
	if i == len(bounds) {
		return "over " + boundText(i-1)
	}
	return "up to " + boundText(i)
}

// ceiling returns the end of an axis: 1, 2 or 5 times a power of ten.
func ceiling(v float64) float64 {
	if v <= 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, factor := range []float64{1, 2, 5} {
		if v <= factor*power {
			return factor * power
		}
	}
	return 10 * power
}

// short writes a value in few characters.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return trimmed(v/1e6) + "M"
	case v >= 1e3:
		return trimmed(v/1e3) + "k"
	}
	return trimmed(v)
}

func trimmed(v float64) string {
	digits := 0
	switch {
	case v < 1:
		digits = 2
	case v < 100:
		digits = 1
	}
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if digits > 0 {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// plotDrawing is a picture as far as it has been drawn. Its texts are this package's own; they are
// escaped all the same.
type plotDrawing struct{ b strings.Builder }

func newPlotDrawing(title, about string) *plotDrawing {
	d := &plotDrawing{}
	fmt.Fprintf(&d.b, `<svg class="plot" role="img" viewBox="0 0 %.0f %.0f"><title>%s</title><desc>%s</desc>`+"\n",
		plotWidth, plotHeight, template.HTMLEscapeString(title), template.HTMLEscapeString(about))
	return d
}

func (d *plotDrawing) end() template.HTML {
	d.b.WriteString("</svg>")
	return template.HTML(d.b.String()) // numbers, and texts that are escaped
}

func (d *plotDrawing) label(x, y float64, anchor, text string) {
	fmt.Fprintf(&d.b, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", x, y, anchor, template.HTMLEscapeString(text))
}

// axis draws the lines at nothing, the half and the whole.
func (d *plotDrawing) axis(top float64, write func(float64) string) {
	for _, part := range []float64{0, 0.5, 1} {
		y := yOf(part*top, top)
		fmt.Fprintf(&d.b, `<path class="grid" d="M%.1f %.1fH%.1f"/>`+"\n", plotLeft, y, plotWidth-plotRight)
		d.label(plotLeft-5, y+3.5, "end", write(part*top))
	}
}

func yOf(v, top float64) float64 {
	return plotHeight - plotBottom - (plotHeight-plotTop-plotBottom)*v/top
}

// line draws a line from the end of each span to that of the next, with a gap where there is no
// value. What stands alone is as long as its span.
func (d *plotDrawing) line(times []time.Time, s series, top float64) {
	if len(times) < 2 {
		return
	}
	first, whole := times[0], max(times[len(times)-1].Sub(times[0]).Seconds(), 1e-9)
	xOf := func(at time.Time) float64 {
		return plotLeft + (plotWidth-plotLeft-plotRight)*at.Sub(first).Seconds()/whole
	}
	var way strings.Builder
	open := false
	for i, v := range s.values {
		if math.IsNaN(v) {
			open = false
			continue
		}
		if !open {
			fmt.Fprintf(&way, "M%.1f %.1f", xOf(times[i]), yOf(v, top))
		}
		fmt.Fprintf(&way, "L%.1f %.1f", xOf(times[i+1]), yOf(v, top))
		open = true
	}
	if way.Len() > 0 {
		fmt.Fprintf(&d.b, `<path class="line %s" d="%s"/>`+"\n", s.Class, way.String())
	}
}
