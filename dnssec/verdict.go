package dnssec

// Verdict is the result of judging a response.
type Verdict struct {
	// Status is the worst of the parts.
	Status Status
	// Reason says why it is not Secure; of several parts the worst one's.
	Reason Reason
	// TTL is for how many seconds from now the response may be used: the lowest of
	// all its parts, by RFC 4035 §5.3.3 for those that are Secure. The SOA's MINIMUM
	// (RFC 2308 §5) is left to the caller. For Bogus it is 0.
	TTL uint32
	// Zone is the zone that signed the last part: the data asked for or its denial.
	// "" unless that is Secure or a proof with opt-out or too many iterations.
	Zone Name
	// Sets tells about each RRset of Answer, then about those of Authority that the
	// verdict rests on. Others in Authority are of no use and unproven.
	Sets []SetVerdict
	// Denial is the proof of nonexistence; nil if none was needed or none given.
	Denial *Denial

	chain  []chainPart
	failed []Link // of a Bogus one: what it was judged by
}

// SetVerdict is the result of judging one RRset.
type SetVerdict struct {
	Set    *RRset
	Status Status
	TTL    uint32 // seconds
	// Zone signed it; "" unless Secure.
	Zone Name
	// Wildcard is the name the RRset was synthesised from (RFC 4592); "" if it was
	// not. Expansion holds the records proving that nothing was closer.
	Wildcard  Name
	Expansion []*RRset
}

// Denial is a proof that a name or a type does not exist.
type Denial struct {
	// NameError: the name does not exist; else it has no RRset of the type. It may
	// be true of a response with NOERROR (RFC 9824).
	NameError bool
	// Compact: the proof is about this one name only (RFC 9824), so nothing follows
	// for names below it either.
	Compact bool
	// OptOut: the name may be an insecure delegation, so that the response is
	// Insecure and AD is not set (RFC 5155 §9.2).
	OptOut bool
	// ClosestEncloser is the longest existing ancestor and NextCloser the name below
	// it that does not exist, nor anything under that; "" where the name itself
	// exists or the proof is compact.
	ClosestEncloser, NextCloser Name
	// Wildcard is set by Synthesise only.
	Wildcard Name
	// Records are the NSEC or NSEC3 RRsets of the proof, all Secure and of one zone:
	// good for answering other names (RFC 8198) unless Compact or OptOut.
	Records []*RRset
}

// Err returns a *BogusError for a Bogus verdict, else nil.
func (v *Verdict) Err() error {
	if v.Status != Bogus {
		return nil
	}
	return &BogusError{v.Reason}
}

// AuthenticData reports whether AD may be set: everything is Secure (RFC 6840 §5.8).
func (v *Verdict) AuthenticData() bool { return v.Status == Secure }

// add takes one part into account.
func (v *Verdict) add(j judgement) {
	if j.status.severity() > v.Status.severity() {
		v.Reason = j.reason
	}
	v.Status = v.Status.Worst(j.status)
	v.TTL = min(v.TTL, j.ttl)
	if v.Status == Bogus {
		v.TTL = 0
	}
	v.Zone = j.zone
}
