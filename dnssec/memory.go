package dnssec

import (
	"crypto/sha256"
	"encoding/binary"
)

// SignatureMemory remembers signatures that were found good, so that none is computed twice:
// the SOA and NSEC records of a zone come again with each of its denials, the records of a
// wildcard for each name made from it, and any RRset with its old signature when its TTL is
// over. It belongs to one user of one set of algorithms, who bounds it; what it forgets is
// computed again. Its methods are called from as many goroutines as judge.
type SignatureMemory interface {
	// Has reports whether Add was called with the same ID.
	Has(SignatureID) bool
	// Add remembers a good signature.
	Add(SignatureID)
}

// SignatureID stands for a fact of mathematics that never changes: that a key has made a
// signature of some bytes. It is the SHA-256 digest of all of them, so that no two facts
// share one. Whether the key is the zone's, whether the signature may be of this RRset, and
// whether it is valid now, is no part of it, and judged each time.
type SignatureID [sha256.Size]byte

// maxRemembered is the length in bytes of the longest signed data that is remembered. Longer
// is rare; hashing it for each signature that a hostile zone makes up would take as long as
// some of the checks that are counted.
const maxRemembered = 4096

// Remember makes judging look into m before it computes a signature, and put into it what was
// good. What m knows costs neither a check nor units of the Work.
func (e *Evidence) Remember(m SignatureMemory) { e.memory = m }

// verifyOnce checks a signature with a key unless it is remembered to be good. It fails when
// the check may not be made.
func (e *Evidence) verifyOnce(key *zoneKey, public PublicKey, message []byte, signature string) (bool, error) {
	remembered := e.memory != nil && len(message) <= maxRemembered
	var id SignatureID
	if remembered {
		id = e.signatureID(key, message, signature)
		if e.memory.Has(id) {
			return true, nil
		}
	}
	if err := e.work.check(public.Cost()); err != nil {
		return false, err
	}
	if !public.Verify(message, signature) {
		return false, e.work.failed()
	}
	if remembered {
		e.memory.Add(id)
	}
	return true, nil
}

// signatureID returns the ID of a signature. Each part but the last stands behind its length,
// so that no two signatures make the same bytes.
func (e *Evidence) signatureID(key *zoneKey, message []byte, signature string) SignatureID {
	b := append(e.idBuffer[:0], key.Algorithm)
	for _, part := range [...]string{key.PublicKey, signature} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	e.idBuffer = append(b, message...)
	return sha256.Sum256(e.idBuffer)
}
