package drawing

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// Trust is the chain of trust of an answer, judged once more from its evidence alone:
// what each zone's keys are, who vouches for them, and what follows.
type Trust struct {
	Status dnssec.Status // of the whole
	Why    string        // if it is not Secure
	Zones  []*Zone       // each behind those above it
}

// Zone is one zone of the chain.
type Zone struct {
	Name    string
	Status  dnssec.Status
	Why     string      // if it is not Secure
	Anchors []uint16    // tags of the trust anchors at this very zone
	DS      []dnssec.DS // from the zone above
	Denial  []string    // instead of DS: the records that deny it
	// Mismatch says where no key matches what vouches for the zone: in the tag, or in the digest only.
	Mismatch string
	Vouched  []uint16 // tags of the keys that signed the DS or its denial
	Keys     []Key
	Sets     []Set // of the answer
}

// Key is a key of a zone.
type Key struct {
	dnssec.Key
	Trusted bool // by a DS or a trust anchor
	Signs   bool // the DNSKEY RRset
}

// Set is an RRset of the answer or of its proof.
type Set struct {
	Text   string // owner and type
	Data   []string
	Status dnssec.Status
	Signed []uint16 // tags of the keys that signed it
	Note   string
}

// Judge judges the evidence of an answer, or of what was bogus, with the anchors
// that the resolver has.
func Judge(chain []dnssec.Link, o resolver.Options, at time.Time) (*Trust, error) {
	if len(chain) == 0 {
		return nil, fmt.Errorf("there is no evidence to show")
	}
	v, err := dnssec.New(dnssec.Options{Anchors: o.TrustAnchors, Algorithms: o.Algorithms})
	if err != nil {
		return nil, err
	}
	anchors := o.TrustAnchors
	if anchors == nil {
		anchors = dnssec.DefaultAnchors()
	}
	e := v.Evidence(at, at, dnssec.NewWork(dnssec.Limits{}))
	links, last := chain[:len(chain)-1], &chain[len(chain)-1]
	t := &Trust{}
	for i := range links {
		e.Add(response(&links[i]))
		t.take(&links[i], anchors)
	}
	t.Zones = slices.DeleteFunc(t.Zones, func(z *Zone) bool { return !z.judge(e, links) })
	return t, t.judgeAnswer(e, last)
}

func response(l *dnssec.Link) *dnssec.Response {
	return &dnssec.Response{Name: l.Name, Type: l.Type, Kind: l.Kind, Answer: l.Answer, Authority: l.Authority}
}

// zone returns the zone of a name, which is made when it is first heard of.
func (t *Trust) zone(name string) *Zone {
	for _, z := range t.Zones {
		if z.Name == name {
			return z
		}
	}
	z := &Zone{Name: name}
	t.Zones = append(t.Zones, z)
	return z
}

// take notes what a link says of a zone.
func (t *Trust) take(l *dnssec.Link, anchors []dnssec.Anchor) {
	z := t.zone(l.Name.String())
	for _, a := range anchors {
		if a.Zone() == z.Name && !slices.Contains(z.Anchors, a.Tag()) {
			z.Anchors = append(z.Anchors, a.Tag())
		}
	}
	for _, set := range slices.Concat(l.Answer, l.Authority) {
		switch {
		case set.Type == dns.TypeDNSKEY && l.Type == dns.TypeDNSKEY:
			z.takeKeys(set)
		case set.Type == dns.TypeDS:
			z.Vouched = signers(set)
			for rdata := range set.Records.All() {
				if ds, err := dnssec.ParseDS(rdata); err == nil {
					z.DS = append(z.DS, ds)
				}
			}
		case set.Type == dns.TypeNSEC || set.Type == dns.TypeNSEC3 || set.Type == dns.TypeCNAME:
			z.Vouched = signers(set)
			z.Denial = append(z.Denial, dns.Type(set.Type).String()+" "+set.Owner.String())
		}
	}
}

func (z *Zone) takeKeys(set *dnssec.RRset) {
	signing := signers(set)
	for rdata := range set.Records.All() {
		key, err := dnssec.ParseKey(rdata)
		if err != nil {
			continue
		}
		trusted := slices.Contains(z.Anchors, key.Tag) || slices.ContainsFunc(z.DS, func(ds dnssec.DS) bool {
			return ds.KeyTag == key.Tag && ds.Algorithm == key.Algorithm
		})
		z.Keys = append(z.Keys, Key{key, trusted, slices.Contains(signing, key.Tag)})
	}
}

// signers returns the tags of the keys that claim to have signed a set, each once.
func signers(set *dnssec.RRset) []uint16 {
	var tags []uint16
	for rdata := range set.Signatures.All() {
		if sig, err := dnssec.ParseSignature(rdata); err == nil && !slices.Contains(tags, sig.KeyTag) {
			tags = append(tags, sig.KeyTag)
		}
	}
	return tags
}

// judge fills in what follows for the zone; false if the name is proven to be none.
func (z *Zone) judge(e *dnssec.Evidence, links []dnssec.Link) bool {
	i := slices.IndexFunc(links, func(l dnssec.Link) bool { return l.Name.String() == z.Name })
	name := links[i].Name
	if len(z.Anchors) == 0 {
		if d, needs, err := e.Judge(name); err == nil && len(needs) == 0 && d.Kind == dnssec.NotDelegated {
			return false
		}
	}
	v, needs, err := e.JudgeZone(name)
	switch {
	case err != nil:
		z.Why = err.Error()
	case len(needs) > 0:
		z.Why = fmt.Sprintf("%s of %s not looked at", dns.Type(needs[0].Type), needs[0].Name)
	default:
		z.Status, z.Why = v.Status, v.Reason.String()
		if v.Reason.Code == dnssec.ReasonDSMismatch {
			z.Mismatch = z.mismatch()
		}
		for i := range z.Keys {
			z.Keys[i].Trusted = z.Keys[i].Trusted && v.Reason.Code != dnssec.ReasonDSMismatch
		}
	}
	return true
}

// mismatch says in what way keys do not match the DS records or the trust anchors.
func (z *Zone) mismatch() string {
	tags := slices.Clone(z.Anchors)
	for _, ds := range z.DS {
		same := slices.ContainsFunc(z.Keys, func(k Key) bool { return k.Tag == ds.KeyTag && k.Algorithm == ds.Algorithm })
		if same {
			return fmt.Sprintf("the key tag %d matches that of the DS, the digest does not", ds.KeyTag)
		}
		tags = append(tags, ds.KeyTag)
	}
	if len(tags) == 0 || len(z.Keys) == 0 {
		return ""
	}
	texts := make([]string, 0, len(tags))
	for _, tag := range firsts(tags) {
		texts = append(texts, fmt.Sprint(tag))
	}
	return "the zone has no key with the tag " + strings.Join(texts, " or ")
}

// judgeAnswer judges the answer itself and adds each RRset to its zone.
func (t *Trust) judgeAnswer(e *dnssec.Evidence, last *dnssec.Link) error {
	v, needs, err := e.Validate(response(last))
	switch {
	case err != nil:
		t.Why = err.Error()
		return nil
	case len(needs) > 0:
		return fmt.Errorf("evidence without %s %s", needs[0].Name, dns.Type(needs[0].Type))
	}
	t.Status, t.Why = v.Status, v.Reason.String()
	judged := make(map[*dnssec.RRset]bool)
	for _, sv := range v.Sets {
		judged[sv.Set] = true
		note := ""
		if sv.Wildcard != "" {
			note = "made from " + sv.Wildcard.String()
		}
		t.place(sv.Set, sv.Status, sv.Zone.String(), note)
	}
	for _, set := range slices.Concat(last.Answer, last.Authority) {
		if !judged[set] {
			t.place(set, dnssec.Indeterminate, "", "not looked at")
		}
	}
	return nil
}

// place adds a set of the answer to the zone that signed it, or else to the deepest one
// that may hold it.
func (t *Trust) place(set *dnssec.RRset, status dnssec.Status, signer, note string) {
	var holder *Zone
	for _, z := range t.Zones {
		fits := dns.IsSubDomain(z.Name, set.Owner.String())
		if z.Name == signer {
			holder = z
			break
		}
		if fits && (holder == nil || dns.CountLabel(z.Name) > dns.CountLabel(holder.Name)) {
			holder = z
		}
	}
	if holder == nil {
		return
	}
	holder.Sets = append(holder.Sets, Set{
		Text: set.Owner.String() + " " + dns.Type(set.Type).String(), Data: DataOf(set),
		Status: status, Signed: signers(set), Note: note,
	})
}

// maxShown is how much of what a hostile zone may have much of is shown.
const maxShown = 8

// DataOf returns the data of the first records of a set, printable.
func DataOf(set *dnssec.RRset) []string {
	rrs, err := set.AppendRRs(nil, 0, false)
	if err != nil {
		return []string{"malformed"}
	}
	var data []string
	for i, rr := range rrs {
		if i == maxShown {
			return append(data, fmt.Sprintf("and %d more", len(rrs)-i))
		}
		data = append(data, strings.TrimPrefix(resolver.PrintableRR(rr), rr.Header().String()))
	}
	return data
}
