package resolver

import (
	"context"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// fillPolicy checks and fills in what has a say in answers beside the network.
func (c *config) fillPolicy() error {
	var err error
	if c.filter, err = c.addressFilter(); err != nil {
		return err
	}
	c.zones, err = newLocalData(c.LocalZones)
	return err
}

// hasSay reports whether hooks or local data have a say in the answer to a question for
// name, whatever the cache has for it. Who answers out of the cache without passing through
// answer must ask first, and then look whether the filter allows the addresses.
func (r *Resolver) hasSay(ctx context.Context, name dnsname.Name) bool {
	return r.hasHooks(ctx) || r.ours.Load().has(name)
}
