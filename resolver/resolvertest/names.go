package resolvertest

import "github.com/iterdns/iterdns/internal/dnsname"

func checkName(text string) error {
	_, err := dnsname.Parse(text)
	return err
}
