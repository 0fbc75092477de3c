// Package caa decides for certification authorities whether they may issue a certificate for a name: by the
// CAA records of the DNS (RFC 8659), with the parameters of accounts and validation methods (RFC 8657) and
// the property for email addresses (RFC 9495), as section 4.2.2.1 of the Baseline Requirements of the
// CA/Browser Forum requires (3.2.2.8 before version 2.2.9).
//
//	verdict, err := caa.Check(ctx, r, "*.example.com", caa.Request{
//		Issuers:  []string{"ca.example.net"},
//		Accounts: []string{"https://ca.example.net/account/1234"},
//		Methods:  []string{"dns-01"},
//	})
//	if err != nil {
//		return err // the name or the request cannot be checked
//	}
//	if verdict.Outcome != caa.Permitted {
//		return errors.New(verdict.String())
//	}
//
// It decides what is looked up, and what follows from it. In come a resolver, a name and a
// Request; out comes a Verdict, with each look-up, its DNSSEC status, its chain of trust, its times
// and the servers asked. It keeps nothing: the resolver has the cache. Evaluate is the decision
// alone, about records that are known already.
//
// Every look-up is validated twice: by the resolver, and by its chain of trust from the trust anchors down.
// An answer without such a chain (from a local zone or a hook, under a negative trust anchor, or without
// validation) is a failure on our side, and never permission.
//
// # Names
//
// An FQDN in A-label form, with or without the trailing dot, a wildcard name such as *.example.com, and
// with Request.Mail an email address or its domain. All names up to and including the top-level domain are
// looked up, but not the root. Text with other characters than letters, digits, hyphens and underscores, IP
// addresses, the root, and onion names, whose CAA records are not in the DNS (RFC 9799), are a *NameError.
//
// # Limitations
//
// One perspective only: multi-perspective corroboration is a Check in each place. Reports to iodef are left
// to the caller, who finds the record in Verdict.Properties. Whether a name is a public suffix or an
// internal name is not checked.
package caa
