package caa_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver/caa"
)

// caaSet is the RRset of records without owner, one a line, such as 0 issue "ca.example".
func caaSet(t testing.TB, owner, records string) *dnssec.RRset {
	t.Helper()
	var all []dns.RR
	for line := range strings.Lines(records) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		rr, err := dns.NewRR(owner + " 300 CAA " + line)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rr)
	}
	if all == nil {
		return nil
	}
	set, err := dnssec.NewRRset(all...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// asked is a question about a set of records, and the answer: "authorized", "other issuer" and so on.
type asked struct {
	name   string
	issuer string
	want   caa.Reason
}

const (
	yes       = caa.ReasonAuthorized
	other     = caa.ReasonOtherIssuer
	free      = caa.ReasonUnrestricted
	critical  = caa.ReasonCritical
	constrain = caa.ReasonConstrained
)

// isPermission says which reasons permit.
func isPermission(r caa.Reason) bool {
	return r == caa.ReasonAuthorized || r == caa.ReasonUnrestricted || r == caa.ReasonNoRecords
}

// RFC 8659 §4.2 to §4.5: all its examples.
func TestRFC8659Examples(t *testing.T) {
	const ca1, ca2, ca3 = "ca1.example.net", "ca2.example.org", "ca3.example.com"
	for _, c := range []struct {
		owner, records string
		asked          []asked
	}{
		{"certs.example.com.", `0 issue "ca1.example.net"
			0 issue "ca2.example.org"`, []asked{{"certs.example.com", ca1, yes}, {"certs.example.com", ca2, yes}, {"certs.example.com", ca3, other}}},
		{"nocerts.example.com.", `0 issue ";"`, []asked{{"nocerts.example.com", ca1, other}, {"*.nocerts.example.com", ca1, other}}},
		{"malformed.example.com.", `0 issue "%%%%%"`, []asked{{"malformed.example.com", ca1, other}}},
		// Authorizations are additive: an empty issuer beside another one says nothing.
		{"certs.example.com.", `0 issue ";"
			0 issue "ca1.example.net"`, []asked{{"certs.example.com", ca1, yes}, {"certs.example.com", ca2, other}}},
		{"account.example.com.", `0 issue "ca1.example.net; account=230123"`, []asked{{"account.example.com", ca1, yes}, {"account.example.com", ca2, other}}},
		{"wild.example.com.", `0 issue "ca1.example.net"
			0 issuewild "ca2.example.org"`, []asked{
			{"wild.example.com", ca1, yes}, {"sub.wild.example.com", ca1, yes}, {"wild.example.com", ca2, other},
			{"*.wild.example.com", ca2, yes}, {"*.sub.wild.example.com", ca2, yes}, {"*.wild.example.com", ca1, other},
		}},
		{"wild2.example.com.", `0 issue "ca1.example.net"`, []asked{
			{"wild2.example.com", ca1, yes}, {"*.wild2.example.com", ca1, yes}, {"*.sub.wild2.example.com", ca1, yes},
			{"*.wild2.example.com", ca2, other},
		}},
		{"wild3.example.com.", `0 issuewild "ca2.example.org"
			0 issue ";"`, []asked{
			{"*.wild3.example.com", ca2, yes}, {"*.sub.wild3.example.com", ca2, yes}, {"*.wild3.example.com", ca1, other},
			{"wild3.example.com", ca2, other}, {"sub.wild3.example.com", ca1, other},
		}},
		{"wild3.example.com.", `0 issuewild "ca2.example.org"`, []asked{
			{"*.wild3.example.com", ca2, yes}, {"*.wild3.example.com", ca1, other}, {"wild3.example.com", ca1, free}, {"sub.wild3.example.com", ca3, free},
		}},
		{"wild3.example.com.", `0 issuewild ";"
			0 issue "ca1.example.net"`, []asked{{"*.wild3.example.com", ca1, other}, {"wild3.example.com", ca1, yes}}},
		{"report.example.com.", `0 issue "ca1.example.net"
			0 iodef "mailto:security@example.com"
			0 iodef "https://iodef.example.com/"`, []asked{{"report.example.com", ca1, yes}, {"report.example.com", ca2, other}}},
		{"report.example.com.", `0 iodef "mailto:security@example.com"`, []asked{{"report.example.com", ca1, free}}},
		{"new.example.com.", `0 issue "ca1.example.net"
			128 tbs "Unknown"`, []asked{{"new.example.com", ca1, critical}, {"*.new.example.com", ca1, critical}, {"new.example.com", ca2, critical}}},
	} {
		for _, q := range c.asked {
			set := caaSet(t, c.owner, c.records)
			d, err := caa.Evaluate(set, q.name, caa.Request{Issuers: []string{q.issuer}})
			if err != nil || d.Reason != q.want || d.Permitted != isPermission(q.want) || len(d.Properties) != set.Len() {
				t.Errorf("%s for %s, by\n%s\ngot %+v, %v, want %v", q.issuer, q.name, c.records, d, err, q.want)
			}
		}
	}
	if d, err := caa.Evaluate(nil, "x.y.z", caa.Request{Issuers: []string{ca1}}); err != nil || !d.Permitted || d.Reason != caa.ReasonNoRecords {
		t.Errorf("without records: got %+v, %v", d, err)
	}
}

// RFC 8657 §3, §4 and appendix A: all its examples, and what is unsatisfiable.
func TestRFC8657Examples(t *testing.T) {
	const account1, account2 = "https://example.net/account/1234", "https://example.net/account/2345"
	type try struct {
		account, method string
		want            caa.Reason
	}
	for _, c := range []struct {
		records string
		tries   []try
	}{
		{`0 issue "example.net; accounturi=https://example.net/account/1234"
		  0 issue "example.net; accounturi=https://example.net/account/2345"`, []try{
			{account1, "dns-01", yes}, {account2, "http-01", yes}, {"https://example.net/account/3456", "dns-01", constrain}, {"", "dns-01", constrain},
		}},
		{`0 issue "example.net; validationmethods=dns-01,xyz-01"`, []try{
			{account1, "dns-01", yes}, {"", "xyz-01", yes}, {account1, "http-01", constrain}, {account1, "", constrain},
		}},
		{`0 issue "example.net; validationmethods=dns-01"
		  0 issue "example.net; validationmethods=xyz-01"`, []try{{"", "dns-01", yes}, {"", "xyz-01", yes}, {"", "http-01", constrain}}},
		{`0 issue "example.net; accounturi=https://example.net/account/1234; validationmethods=dns-01"
		  0 issue "example.net; accounturi=https://example.net/account/2345; validationmethods=http-01"`, []try{
			{account1, "dns-01", yes}, {account2, "http-01", yes}, {account1, "http-01", constrain}, {account2, "dns-01", constrain},
		}},
		{`0 issue "example.net; validationmethods=dns-01,ca-foo"`, []try{{"", "ca-foo", yes}, {"", "dns-01", yes}, {"", "ca-bar", constrain}}},
		// The labels that the baseline requirements define.
		{`0 issue "example.net; validationmethods=ca-tbr-7"`, []try{{"", "ca-tbr-7", yes}, {"", "dns-01", constrain}}},
		// Several accounts, in one property, cannot be satisfied, be they equal.
		{`0 issue "example.net; accounturi=https://example.net/account/1234; accounturi=https://example.net/account/1234"`, []try{{account1, "", constrain}}},
		{`0 issue "example.net; validationmethods=dns-01; validationmethods=dns-01"`, []try{{"", "dns-01", constrain}}},
		// Nor can an empty list, or one with something else than labels.
		{`0 issue "example.net; validationmethods="`, []try{{"", "dns-01", constrain}, {"", "", constrain}}},
		{`0 issue "example.net; validationmethods=dns-01,"`, []try{{"", "dns-01", constrain}}},
		{`0 issue "example.net; validationmethods=dns-01,a_b"`, []try{{"", "dns-01", constrain}}},
		// An account at another authority's domain name authorizes neither.
		{`0 issue "example.org; accounturi=https://example.net/account/1234"`, []try{{account1, "", other}}},
		// URIs and labels are compared byte by byte, the names of parameters are not.
		{`0 issue "example.net; accounturi=https://example.net/ACCOUNT/1234"`, []try{{account1, "", constrain}}},
		{`0 issue "example.net; validationmethods=DNS-01"`, []try{{"", "dns-01", constrain}}},
		{`0 issue "example.net; ACCOUNTURI=https://example.net/account/1234"`, []try{{account1, "", yes}, {account2, "", constrain}}},
		// One property that is satisfied is enough, and one without parameters suits all.
		{`0 issue "example.net; accounturi=https://example.net/account/1234"
		  0 issue "example.net"`, []try{{account2, "", yes}}},
		{`0 issue "example.net;accounturi=https://example.net/?a=b&c"`, []try{{"https://example.net/?a=b&c", "", yes}}},
	} {
		for _, q := range c.tries {
			for _, tag := range []string{"issue", "issuewild"} {
				name := map[string]string{"issue": "example.com", "issuewild": "*.example.com"}[tag]
				request := caa.Request{Issuers: []string{"EXAMPLE.net."}}
				if q.account != "" {
					request.Accounts = []string{"https://example.net/parent", q.account}
				}
				if q.method != "" {
					request.Methods = []string{q.method}
				}
				set := caaSet(t, "example.com.", strings.ReplaceAll(c.records, " issue ", " "+tag+" "))
				d, err := caa.Evaluate(set, name, request)
				if err != nil || d.Reason != q.want || d.Permitted != isPermission(q.want) || d.Property == nil {
					t.Errorf("%s for account %q by %q: got %+v, %v, want %v; records\n%s", name, q.account, q.method, d, err, q.want, c.records)
				}
			}
		}
	}
}

// RFC 9495 §5 and §6: all its examples.
func TestRFC9495Examples(t *testing.T) {
	refuse := func(tag, value string) bool { return tag == "account" && value == "654321" }
	for _, c := range []struct {
		name, records string
		parameter     func(string, string) bool
		want          caa.Reason
	}{
		{"mail.client.example", `0 issue "authority.example"
			0 issue "other-authority.example"`, nil, free},
		{"mail.client.example", `0 issuemail ";"`, nil, other},
		{"mail.client.example", `0 issuemail "authority.example; account=123456"`, nil, yes},
		{"mail.client.example", `0 issuemail "authority.example; account=123456"`, refuse, constrain},
		{"mail.client.example", `0 issuemail "authority.example; account=654321"`, refuse, yes},
		{"mail.client.example", `0 issuemail ";"
			0 issuemail "authority.example"`, nil, yes},
		{"malformed.client.example", `0 issuemail "%%%%%"`, nil, other},
		{"client.example", `128 issue "other-authority.example"
			0 issuemail "authority.example"`, nil, yes}, // issue is understood
		{"client.example", `128 issuesomething "authority.example"
			0 issuemail "authority.example"`, nil, critical},
		{"somebody@client.example", `0 issuemail "authority.example"`, nil, yes},
		{`"a@b"@client.example`, `0 issuemail "other.example"`, nil, other},
	} {
		d, err := caa.Evaluate(caaSet(t, "x.", c.records), c.name, caa.Request{Issuers: []string{"authority.example"}, Mail: true, Parameter: c.parameter})
		if err != nil || d.Reason != c.want || d.Permitted != isPermission(c.want) {
			t.Errorf("%s: got %+v, %v, want %v; records\n%s", c.name, d, err, c.want, c.records)
		}
	}
	// A certificate for host names does not ask for issuemail.
	d, err := caa.Evaluate(caaSet(t, "x.", `128 issuemail ";"`), "client.example", caa.Request{Issuers: []string{"authority.example"}})
	if err != nil || d.Reason != free {
		t.Errorf("issuemail, for a host: got %+v, %v", d, err)
	}
}

// RFC 8659 §4.1: tags in any letter case, reserved flags, unknown tags, and the caller's own.
func TestTagsAndFlags(t *testing.T) {
	for _, c := range []struct {
		records string
		tags    []string
		want    caa.Reason
	}{
		{`0 ISSUE "ca.example"`, nil, yes},
		{`0 IsSue "other.example"`, nil, other},
		{`128 ISSUE "ca.example"`, nil, yes},
		{`127 unknown "x"`, nil, free}, // all flags but the critical one
		{`255 unknown "x"`, nil, critical},
		{`1 unknown "x"`, nil, free},
		{`128 Unknown "x"`, []string{"UNKNOWN"}, free},
		{`128 contactemail "a@ca.example"
		  128 contactphone "+1"
		  128 iodef "mailto:x@ca.example"`, nil, free},
		{`0 auth "x"`, nil, free},
		{`128 issue-more "ca.example"`, nil, critical}, // erratum 5934: hyphens are for parameters only
	} {
		d, err := caa.Evaluate(caaSet(t, "x.", c.records), "x.example", caa.Request{Issuers: []string{"ca.example"}, Tags: c.tags})
		if err != nil || d.Reason != c.want {
			t.Errorf("%s: got %+v, %v, want %v", c.records, d, err, c.want)
		}
	}
	// RDATA that is no CAA's denies, whatever stands beside it.
	good := "\x00\x05issueca.example"
	for _, bad := range []string{"", "\x00", "\x00\x00", "\x00\x00issue", "\x00\x06issue", "\x80\xffx"} {
		set := &dnssec.RRset{Type: dns.TypeCAA, Class: dns.ClassINET, Records: dnssec.Pack(good, bad)}
		d, err := caa.Evaluate(set, "x.example", caa.Request{Issuers: []string{"ca.example"}})
		if err != nil || d.Permitted || d.Reason != caa.ReasonMalformed || len(d.Properties) != 1 {
			t.Errorf("%q: got %+v, %v", bad, d, err)
		}
		if p, err := caa.ParseProperty(bad); !errors.Is(err, caa.ErrProperty) {
			t.Errorf("%q: got %v, %v", bad, p, err)
		}
	}
}

// RFC 8659 §4.2: the grammar, to the letter, with errata 5934 (hyphens in the tags of parameters) and
// 7139 (which renames two rules).
func TestIssueValueGrammar(t *testing.T) {
	for value, want := range map[string]string{
		"":                          "{ []}",
		" \t":                       "{ []}",
		";":                         "{ []}",
		" ; \t":                     "{ []}",
		"ca.example":                "{ca.example []}",
		" \tCA.Example \t":          "{ca.example []}",
		"ca":                        "{ca []}",
		"a--b.xn--c":                "{a--b.xn--c []}",
		"ca.example;":               "{ca.example []}",
		"ca.example ; a=b":          "{ca.example [{a b}]}",
		"ca.example; A-1 = b ; c=":  "{ca.example [{a-1 b} {c }]}",
		"ca.example;a==;b=!~":       "{ca.example [{a =} {b !~}]}",
		"; a=b":                     "{ [{a b}]}",
		"ca.example;a=b;":           "",
		"ca.example;;":              "",
		"ca.example;a=b;;c=d":       "",
		"ca.example;a":              "",
		"ca.example;=b":             "",
		"ca.example;a b=c":          "",
		"ca.example;a=b c":          "",
		"ca.example;-a=b":           "",
		"ca.example;a-=b":           "",
		"ca.example;a_b=c":          "",
		"ca.example;a=\x7f":         "",
		"ca.example;a=\xc3\xa9":     "",
		"ca.example;a=b\x00":        "",
		"ca.example a":              "",
		"ca.example\n":              "",
		"ca..example":               "",
		".ca.example":               "",
		"ca.example.":               "",
		"-ca.example":               "",
		"ca-.example":               "",
		"ca_1.example":              "",
		"*.example":                 "",
		"caf\xc3\xa9.example":       "",
		"https://ca.example":        "",
		"ca.example\x00":            "",
		"\x00":                      "",
		"\"ca.example\"":            "",
		"ca.example;a=" + longText:  fmt.Sprintf("{ca.example [{a %s}]}", longText),
		longLabel + ".example;a=b ": fmt.Sprintf("{%s.example [{a b}]}", longLabel),
	} {
		v, err := caa.ParseIssueValue(value)
		switch {
		case want == "" && !errors.Is(err, caa.ErrIssueValue):
			t.Errorf("%q: got %v, %v, want an error", value, v, err)
		case want != "" && (err != nil || fmt.Sprint(v) != want):
			t.Errorf("%q: got %v, %v, want %s", value, v, err, want)
		}
	}
}

var longText, longLabel = strings.Repeat("x", 60000), strings.Repeat("a", 63)

// FuzzIssueValue: what is accepted means the same when it is written by the grammar again.
func FuzzIssueValue(f *testing.F) {
	for _, s := range []string{";", "ca.example; a=b; c=d", "%%%%%", "ca.example;accounturi=https://ca.example/1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		v, err := caa.ParseIssueValue(value)
		if err != nil {
			return
		}
		var text strings.Builder
		text.WriteString(v.Issuer)
		for _, p := range v.Parameters {
			text.WriteString(";" + p.Tag + "=" + p.Value)
		}
		if again, err := caa.ParseIssueValue(text.String()); err != nil || fmt.Sprint(again) != fmt.Sprint(v) {
			t.Errorf("%q: got %v, and of %q %v, %v", value, v, text.String(), again, err)
		}
	})
}

// Names that CAA says nothing about, and requests without an issuer, are typed errors.
func TestNames(t *testing.T) {
	for name, want := range map[string]caa.NameReason{
		"": caa.NameMalformed, "a..b": caa.NameMalformed, "a b.example": caa.NameMalformed, `a\.b.example`: caa.NameMalformed,
		"a.*.example": caa.NameMalformed, "*": caa.NameMalformed, "*.": caa.NameMalformed, "*.*.example": caa.NameMalformed,
		"w*.example": caa.NameMalformed, "user@example.com": caa.NameMalformed, "a/b.example": caa.NameMalformed,
		strings.Repeat("a", 64) + ".example": caa.NameMalformed, strings.Repeat("a.", 128) + "b": caa.NameMalformed, "a\x7f.example": caa.NameMalformed,
		"192.0.2.1": caa.NameAddress, "192.0.2.1.": caa.NameAddress, "2001:db8::1": caa.NameAddress, "[2001:db8::1]": caa.NameAddress, "fe80::1%eth0": caa.NameAddress,
		"pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion": caa.NameOnion, "*.a.ONION.": caa.NameOnion, "onion": caa.NameOnion,
		"bücher.example": caa.NameUnicode, "a。example": caa.NameUnicode, "\xff.example": caa.NameUnicode, ".": caa.NameRoot,
	} {
		var told *caa.NameError
		if d, err := caa.Evaluate(nil, name, caa.Request{Issuers: []string{"ca.example"}}); !errors.As(err, &told) || told.Reason != want || told.Name != name || d.Permitted {
			t.Errorf("%q: got %+v, %v, want %v", name, d, err, want)
		}
	}
	for _, name := range []string{"*.example.com", "somebody@*.example.com", "somebody@", "somebody@[192.0.2.1]"} {
		var told *caa.NameError
		if d, err := caa.Evaluate(nil, name, caa.Request{Issuers: []string{"ca.example"}, Mail: true}); !errors.As(err, &told) || d.Permitted {
			t.Errorf("mail to %q: got %+v, %v", name, d, err)
		}
	}
	for _, name := range []string{"example.com.", "EXAMPLE.com", "com", "*.com", "xn--bcher-kva.example", "_acme.example", "a-b.c--d.example", "1.example", strings.Repeat("a.", 126) + "b"} {
		if d, err := caa.Evaluate(nil, name, caa.Request{Issuers: []string{"ca.example"}}); err != nil || !d.Permitted {
			t.Errorf("%q: got %+v, %v", name, d, err)
		}
	}
	for _, issuers := range [][]string{nil, {""}, {"ca.example", "a b"}, {"."}, {"ca..example"}, {"caf\u00e9.example"}} {
		if d, err := caa.Evaluate(nil, "example.com", caa.Request{Issuers: issuers}); !errors.Is(err, caa.ErrRequest) || d.Permitted {
			t.Errorf("issuers %q: got %+v, %v", issuers, d, err)
		}
	}
}

// A record in a log is printable and one line, whatever its bytes.
func TestPropertyString(t *testing.T) {
	p, err := caa.ParseProperty("\x80\x05iSSUe\x1b[31m\"\\\n\xff")
	if err != nil || !p.Critical() || p.String() != `128 issue "\027[31m\"\\\010\255"` {
		t.Errorf("got %s, %v", p, err)
	}
}
