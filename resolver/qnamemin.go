package resolver

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// oneLabelSteps is how many labels are revealed one at a time before the steps become
// larger. RFC 9156 §2.3: MINIMISE_ONE_LAB.
const oneLabelSteps = 4

// minimiser decides how much of a name the servers of a zone are asked for. RFC 9156.
type minimiser struct {
	question    question
	limit       int // queries that may be minimised
	count       int // so far
	noCutLabels int // labels of the deepest name on the way that is known to be no zone cut
	off         bool
}

// next returns the question for the servers of zone: the name with at least one more label
// than the zone and than the deepest name known to be no zone cut, and type A, which
// middleboxes handle (RFC 9156 §2.1); or the full question when that is all that is left to
// reveal.
func (m *minimiser) next(zone dnsname.Name) question {
	all := m.question.name.Labels()
	base := max(zone.Labels(), m.noCutLabels)
	if m.off || m.count >= m.limit || base >= all {
		return m.question
	}
	labels := base + m.labelsToAdd(all-base)
	if labels >= all {
		return m.question
	}
	return question{m.question.name.Ancestor(labels), dns.TypeA}
}

// labelsToAdd is how many labels to add when remaining are left. The first few steps are one label
// each; after that the remaining labels are divided among the queries left, so that these
// suffice.
func (m *minimiser) labelsToAdd(remaining int) int {
	if m.count < oneLabelSteps {
		return 1
	}
	left := m.limit - m.count
	return max(1, (remaining+left-1)/left)
}

// countQuery records that q has been sent, and reports whether it was minimised.
func (m *minimiser) countQuery(q question) bool {
	if q == m.question {
		return false
	}
	m.count++
	return true
}

// noCut records that there is no zone cut at name.
func (m *minimiser) noCut(name dnsname.Name) { m.noCutLabels = max(m.noCutLabels, name.Labels()) }

// giveUp makes all further queries ask the full question.
func (m *minimiser) giveUp() { m.off = true }
