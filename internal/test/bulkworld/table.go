package main

import (
	"fmt"
	"strings"
	"time"
)

// measured is what a run of a program was like.
type measured struct {
	program     string
	dnssec      bool
	names       int
	took        time.Duration
	most        time.Duration // until 99 of 100 lines were there; 0: not known
	cpu         time.Duration
	lines       lineCost // of bulk
	succeeded   int      // right answers
	answerable  int      // names with a living server
	wrong       []string
	queries     int64
	memory      int64 // bytes
	descriptors int
}

// lineCost is processor time of bulk that Unbound does not spend.
type lineCost struct {
	start time.Duration // until the first line
	each  time.Duration // to read a line of the list, to find the answer in the cache and to write it as JSON
}

const mostWrong = 10

func (m *measured) fault(format string, args ...any) {
	if len(m.wrong) < mostWrong {
		m.wrong = append(m.wrong, fmt.Sprintf(format, args...))
	}
}

func (m *measured) success() float64 { return float64(m.succeeded) / float64(max(1, m.answerable)) }

// cpuEach returns the processor time for each name, in all and without that for lines and start-up.
func (m *measured) cpuEach() (all, resolving time.Duration) {
	n := time.Duration(m.names)
	return m.cpu / n, max(0, m.cpu-m.lines.start-n*m.lines.each) / n
}

// row returns the line of the table. peer is the other program, to compare with; nil: there is none.
func (m *measured) row(peer *measured) string {
	most := "-"
	if m.most > 0 {
		most = fmt.Sprintf("%.0f", 0.99*float64(m.names)/m.most.Seconds())
	}
	all, resolving := m.cpuEach()
	ofAll, ofResolving := "-", "-"
	if peer != nil {
		if theirs, _ := peer.cpuEach(); theirs > 0 {
			ofAll, ofResolving = fmt.Sprintf("%.2f", float64(all)/float64(theirs)), fmt.Sprintf("%.2f", float64(resolving)/float64(theirs))
		}
	}
	return fmt.Sprintf("%-14s %-6s %7.0f %8s %8d %8s %10d %8s %9.3f %% %8.2f %7.1f %6d", m.program, onOff(m.dnssec),
		float64(m.names)/m.took.Seconds(), most, all.Microseconds(), ofAll, resolving.Microseconds(), ofResolving, 100*m.success(),
		float64(m.queries)/float64(m.names), float64(m.memory)/(1<<20), m.descriptors)
}

const tableHead = "program        DNSSEC names/s  for 99%   CPU us  of peer  resolving  of peer    success  queries     MiB  files\n" +
	"                                            /name                                            /name    peak   peak\n"

// table returns what was measured, for people. Each run of bulk is followed by its peer's, if there was
// one.
func table(names int, rows []*measured) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d names\n%s", names, tableHead)
	for i, m := range rows {
		var peer *measured
		if m.program == bulkName && i+1 < len(rows) && rows[i+1].program != bulkName {
			peer = rows[i+1]
		}
		fmt.Fprintln(&b, m.row(peer))
	}
	for _, m := range rows {
		if m.program == bulkName {
			fmt.Fprintf(&b, "bulk, DNSSEC %s: start-up %v, and %.1f us for each line of list and JSON: not in the column resolving\n",
				onOff(m.dnssec), m.lines.start.Round(time.Millisecond), float64(m.lines.each.Nanoseconds())/1000)
		}
	}
	return b.String()
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
