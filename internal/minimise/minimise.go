package minimise

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// oneLabelSteps is how many labels are revealed one at a time before the steps become
// larger. RFC 9156 §2.3: MINIMISE_ONE_LAB.
const oneLabelSteps = 4

// Minimiser decides what the servers of each zone are asked on the way to the answer to one
// question. It is for one goroutine.
type Minimiser struct {
	question    answer.Question
	limit       int // queries that may be minimised
	count       int // so far
	noCutLabels int // labels of the deepest name on the way that is known to be no zone cut
	off         bool
}

// New makes the minimiser of a question that may have limit minimised queries; 0 means none.
//
// DS needs no exception: the servers of the zone above, which have it, get the full question anyway.
func New(q answer.Question, limit int) Minimiser { return Minimiser{question: q, limit: limit} }

// Off makes the minimiser of a question that is asked in full of every zone.
func Off(q answer.Question) Minimiser { return Minimiser{question: q, off: true} }

// IsOff reports whether only the full question is asked.
func (m *Minimiser) IsOff() bool { return m.off }

// Next returns the question for the servers of zone: the name with at least one more label
// than the zone and than the deepest name known to be no zone cut, and type A, which
// middleboxes handle (RFC 9156 §2.1); or the full question when that is all that is left to
// reveal.
func (m *Minimiser) Next(zone dnsname.Name) answer.Question {
	all := m.question.Name.Labels()
	base := max(zone.Labels(), m.noCutLabels)
	if m.off || m.count >= m.limit || base >= all {
		return m.question
	}
	labels := base + m.labelsToAdd(all-base)
	if labels >= all {
		return m.question
	}
	return answer.Question{Name: m.question.Name.Ancestor(labels), Type: dns.TypeA}
}

// labelsToAdd is how many labels to add when remaining are left. The first few steps are one label
// each; after that the remaining labels are divided among the queries left, so that these
// suffice.
func (m *Minimiser) labelsToAdd(remaining int) int {
	if m.count < oneLabelSteps {
		return 1
	}
	left := m.limit - m.count
	return max(1, (remaining+left-1)/left)
}

// CountQuery records that q has been sent, and reports whether it was minimised.
func (m *Minimiser) CountQuery(q answer.Question) bool {
	if q == m.question {
		return false
	}
	m.count++
	return true
}

// NoCut records that there is no zone cut at name.
func (m *Minimiser) NoCut(name dnsname.Name) { m.noCutLabels = max(m.noCutLabels, name.Labels()) }

// Descend continues at another zone. noCut is the deepest name below it, on the way to the name, that
// is known to be no zone cut; "": none is known.
func (m *Minimiser) Descend(noCut dnsname.Name) { m.noCutLabels = noCut.Labels() }

// GiveUp makes all further queries ask the full question.
func (m *Minimiser) GiveUp() { m.off = true }
