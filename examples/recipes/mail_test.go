package recipes

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

const mailWorld = `
-- zone example.com. signed --
@                  MX    20 plain.example.net.
@                  MX    10 mail
mail               A     192.0.2.25
_25._tcp.mail      TLSA  3 1 1 0000000000000000000000000000000000000000000000000000000000000000
_25._tcp.mail      TLSA  0 1 1 0000000000000000000000000000000000000000000000000000000000000000
old                MX    10 mail.old
mail.old           A     192.0.2.26
_25._tcp.mail.old  TLSA  0 1 1 0000000000000000000000000000000000000000000000000000000000000000
bogus              MX    10 mail.bogus.example.
null               MX    0 .
alone              A     192.0.2.27
-- zone example.net. --
@                  MX    10 plain
plain              A     192.0.2.28
-- zone bogus.example. signed break=corrupt:_25._tcp.mail/TLSA --
mail               A     192.0.2.29
_25._tcp.mail      TLSA  3 1 1 0000000000000000000000000000000000000000000000000000000000000000
`

func TestMailHosts(t *testing.T) {
	in := resolvertest.New(t, mailWorld)
	enforce := &STSPolicy{Mode: "enforce", MX: []string{"*.example.net"}}
	for _, test := range []struct {
		domain string
		policy *STSPolicy
		want   string
	}{
		{"example.com", nil, "mail.example.com. DANE 1, plain.example.net."},
		{"example.com", enforce, "mail.example.com. DANE 1, plain.example.net. STS"},
		{"old.example.com", nil, "mail.old.example.com. DANE 0"},
		{"bogus.example.com", enforce, "mail.bogus.example. error"},
		{"alone.example.com", nil, "alone.example.com."},
		{"alone.example.com", enforce, "alone.example.com. STS error"},
		{"example.net", nil, "plain.example.net."},
		{"example.net", &STSPolicy{Mode: "testing"}, "plain.example.net."},
		{"null.example.com", nil, "no mail"},
		{"nosuch.example.com", nil, "no mail"},
	} {
		hosts, err := MailHosts(t.Context(), in.Resolver(t), test.domain, test.policy)
		var texts []string
		for _, h := range hosts {
			text := h.Name
			if h.DANE {
				text += fmt.Sprintf(" DANE %d", len(h.TLSA))
			}
			if h.STS {
				text += " STS"
			}
			if h.Err != nil {
				text += " error"
			}
			texts = append(texts, text)
		}
		got := strings.Join(texts, ", ")
		if errors.Is(err, ErrNoMail) {
			got = "no mail"
		} else if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: got %q, want %q", test.domain, got, test.want)
		}
	}
}

// served answers requests without a network.
type served map[string]string

func (s served) RoundTrip(request *http.Request) (*http.Response, error) {
	text, ok := s[request.URL.String()]
	response := &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Body: io.NopCloser(strings.NewReader(text)), Request: request, Header: http.Header{}}
	if !ok {
		response.StatusCode, response.Status = http.StatusFound, "302 Found"
		response.Header.Set("Location", "https://elsewhere.example.com/")
	}
	return response, nil
}

func TestFindSTS(t *testing.T) {
	r := resolvertest.New(t, `
-- zone example.com. --
_mta-sts         TXT  "v=STSv1; id=20260101T000000;"
_mta-sts.moved   TXT  "v=STSv1; id=1;"
_mta-sts.broken  TXT  "v=STSv1; id=1;"
_mta-sts.two     TXT  "v=STSv1; id=1;"
_mta-sts.two     TXT  "v=STSv1; id=2;"
_mta-sts.none    TXT  "something else"
`).Resolver(t)
	client := &http.Client{Transport: served{
		"https://mta-sts.example.com/.well-known/mta-sts.txt":        "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n",
		"https://mta-sts.broken.example.com/.well-known/mta-sts.txt": "version: STSv1\nmode: sometimes\n",
	}}
	policy, err := FindSTS(t.Context(), r, client, "example.com.")
	if err != nil || policy == nil || policy.ID != "20260101T000000" || !policy.enforced() || len(policy.MX) != 2 {
		t.Fatalf("got %+v, %v", policy, err)
	}
	for host, want := range map[string]bool{
		"mail.example.com.": true, "MX1.example.net": true, "a.mx1.example.net": false, "example.net": false, "evil.example.com": false,
	} {
		if policy.lists(host) != want {
			t.Errorf("%s: listed %t, want %t", host, !want, want)
		}
	}
	for domain, wrong := range map[string]string{
		"two.example.com": "", "none.example.com": "", "nosuch.example.com": "",
		"moved.example.com": "302", "broken.example.com": `mode "sometimes"`,
	} {
		policy, err := FindSTS(t.Context(), r, client, domain)
		if policy != nil || (err == nil) != (wrong == "") || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: got %+v, %v, want no policy and %q", domain, policy, err, wrong)
		}
	}
}
