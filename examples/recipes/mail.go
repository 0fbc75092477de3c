package recipes

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// A MailHost is a host for the mail of a domain, and what its certificate has to be.
type MailHost struct {
	Name string // absolute
	// DANE says that there are validated TLSA records: the session must use TLS, and the
	// certificate must match one of TLSA (RFC 7672). With DANE and no TLSA none of them is of
	// use: TLS without a look at the certificate (§2.2).
	DANE bool
	TLSA []*dns.TLSA
	// STS says that the certificate must be valid for Name by the roots of the system (RFC 8461
	// §4.1). It is never set with DANE, which comes first (§2).
	STS bool
	// Err is why no mail may go to this host now: whether it has TLSA records cannot be told
	// (RFC 7672 §2.1.2), or the domain's MTA-STS policy does not list it. Nil: none.
	Err error
}

// ErrNoMail is the error of a domain that takes no mail: it has a null MX (RFC 7505), or does not
// exist. All other errors of MailHosts are temporary: try again later.
var ErrNoMail = errors.New("the domain takes no mail")

// MailHosts returns the hosts for the mail of a domain in the order in which to try them, each
// with what is known about its certificate. policy is that of FindSTS; nil: there is none.
func MailHosts(ctx context.Context, r *resolver.Resolver, domain string, policy *STSPolicy) ([]MailHost, error) {
	mx, err := resolver.Lookup[*dns.MX](ctx, r, domain)
	if err != nil {
		return nil, err
	}
	if mx.Rcode == dns.RcodeNameError {
		return nil, fmt.Errorf("%s: %w: there is no such name", domain, ErrNoMail)
	}
	slices.SortStableFunc(mx.Records, func(a, b *dns.MX) int { return cmp.Compare(a.Preference, b.Preference) })
	var names []string
	for _, record := range mx.Records {
		if record.Mx == "." {
			return nil, fmt.Errorf("%s: %w: null MX", domain, ErrNoMail)
		}
		names = append(names, record.Mx)
	}
	if len(names) == 0 {
		names = []string{dns.Fqdn(domain)} // RFC 5321 §5.1
	}
	var hosts []MailHost
	for _, name := range names {
		// MX records that anybody may have forged protect nothing (RFC 7672 §2.2.1).
		hosts = append(hosts, mailHost(ctx, r, name, mx.Status == dnssec.Secure, policy))
	}
	return hosts, nil
}

func mailHost(ctx context.Context, r *resolver.Resolver, name string, secure bool, policy *STSPolicy) MailHost {
	h := MailHost{Name: name}
	if secure {
		tlsa, err := r.LookupTLSA(ctx, "tcp", name, 25)
		switch {
		case err != nil:
			h.Err = err
			return h
		case tlsa.Status == dnssec.Secure && len(tlsa.Records) > 0:
			h.DANE = true
			// The others cannot be checked by a mail client (RFC 7672 §3.1.3).
			h.TLSA = slices.DeleteFunc(tlsa.Records, func(t *dns.TLSA) bool { return t.Usage != 2 && t.Usage != 3 })
			return h
		}
	}
	if policy.enforced() {
		h.STS = true
		if !policy.lists(name) {
			h.Err = fmt.Errorf("the MTA-STS policy does not list %s", name)
		}
	}
	return h
}

// An STSPolicy is the MTA-STS policy of a domain (RFC 8461 §3.2).
type STSPolicy struct {
	ID   string // of the TXT record: another one says that the policy has changed
	Mode string // "enforce", "testing" or "none"
	MX   []string
}

// maxPolicy bounds a policy, in bytes (RFC 8461 §3.3).
const maxPolicy = 64 << 10

// FindSTS fetches the MTA-STS policy of a domain, nil if it has none. client is PublicClient's, for
// the name is a stranger's; it must not follow redirects, which this function sees to. A program
// keeps a policy for its max_age, and uses the one that it has when a new one cannot be had: the
// error is no reason to send without (RFC 8461 §3.3, §5.1).
func FindSTS(ctx context.Context, r *resolver.Resolver, client *http.Client, domain string) (*STSPolicy, error) {
	domain = strings.TrimSuffix(domain, ".")
	texts, err := resolver.Lookup[*dns.TXT](ctx, r, "_mta-sts."+domain)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, record := range texts.Records {
		if rest, ok := strings.CutPrefix(strings.Join(record.Txt, ""), "v=STSv1;"); ok {
			ids = append(ids, fieldOf(rest, "id"))
		}
	}
	if len(ids) != 1 || ids[0] == "" { // RFC 8461 §3.1
		return nil, nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://mta-sts."+domain+"/.well-known/mta-sts.txt", nil)
	if err != nil {
		return nil, err
	}
	direct := *client
	direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := direct.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("MTA-STS policy of %s: %s", domain, response.Status)
	}
	policy, err := parseSTS(io.LimitReader(response.Body, maxPolicy))
	if err != nil {
		return nil, fmt.Errorf("MTA-STS policy of %s: %w", domain, err)
	}
	policy.ID = ids[0]
	return policy, nil
}

// fieldOf returns the value of a field of "a=b; c=d".
func fieldOf(text, name string) string {
	for field := range strings.SplitSeq(text, ";") {
		if key, value, ok := strings.Cut(strings.TrimSpace(field), "="); ok && key == name {
			return value
		}
	}
	return ""
}

func parseSTS(text io.Reader) (*STSPolicy, error) {
	policy, version := &STSPolicy{}, ""
	scanner := bufio.NewScanner(text)
	for scanner.Scan() {
		key, value, _ := strings.Cut(scanner.Text(), ":")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "version":
			version = value
		case "mode":
			policy.Mode = value
		case "mx":
			policy.MX = append(policy.MX, value)
		}
	}
	if err := scanner.Err(); err != nil {
		return nil, err
	}
	if version != "STSv1" || !slices.Contains([]string{"enforce", "testing", "none"}, policy.Mode) {
		return nil, fmt.Errorf("version %q, mode %q", version, policy.Mode)
	}
	return policy, nil
}

func (p *STSPolicy) enforced() bool { return p != nil && p.Mode == "enforce" }

// lists reports whether a host is one of the policy: "*." stands for one label (RFC 8461 §4.1).
func (p *STSPolicy) lists(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, pattern := range p.MX {
		pattern = strings.ToLower(strings.TrimSuffix(pattern, "."))
		if host == pattern {
			return true
		}
		if domain, ok := strings.CutPrefix(pattern, "*."); ok {
			if _, parent, _ := strings.Cut(host, "."); parent == domain {
				return true
			}
		}
	}
	return false
}
