package iterdns

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/iterdns/iterdns/examples/rediscache"
)

// readRedis reads an address or a URL, and the words key_file and prefix with their
// values.
func (p *parser) readRedis(args []string) error {
	if len(args) == 0 {
		return errNone
	}
	var err error
	if p.config.redis, err = redisOptions(args[0]); err != nil {
		return err
	}
	p.config.redisPrefix = "iterdns:"
	for args = args[1:]; len(args) > 0; args = args[2:] {
		if len(args) == 1 {
			return fmt.Errorf("'%s' has no value", args[0])
		}
		switch args[0] {
		case "prefix":
			p.config.redisPrefix = args[1]
		case "key_file":
			if p.config.options.SecondLevelKey, err = p.readKey(args[1]); err != nil {
				return err
			}
		default:
			return fmt.Errorf("unknown word '%s': want 'key_file' or 'prefix'", args[0])
		}
	}
	return nil
}

// redisOptions returns those that fit a resolver, for HOST:PORT, or a URL that may have a
// password. What an operator writes and nothing would come of is an error.
func redisOptions(address string) (*redis.Options, error) {
	scheme, _, isURL := strings.Cut(address, "://")
	switch {
	case isOfMany(scheme) || strings.Contains(address[strings.LastIndexByte(address, '@')+1:], ","):
		return nil, errServers
	case !isURL:
		return rediscache.Options(address), checkAddr(address)
	}
	parsed, err := url.Parse(address)
	if err != nil || parsed.Fragment != "" { // as of a password with a number sign
		return nil, errURL
	}
	if err := checkQuery(parsed.Query()); err != nil {
		return nil, err
	}
	from, err := redis.ParseURL(address)
	if err != nil {
		return nil, errURL
	}
	if from.Network != "unix" {
		if parsed.Hostname() == "" {
			return nil, errors.New("the URL has no host")
		}
		if err := checkAddr(from.Addr); err != nil {
			return nil, err
		}
	}
	o := rediscache.Options(from.Addr)
	o.Network, o.Username, o.Password, o.DB, o.TLSConfig = from.Network, from.Username, from.Password, from.DB, from.TLSConfig
	return o, nil
}

// isOfMany reports whether a scheme is one by which clients find a store that is several
// servers, as redis-sentinel and redis+cluster.
func isOfMany(scheme string) bool {
	scheme = strings.ToLower(scheme)
	return strings.Contains(scheme, "sentinel") || strings.Contains(scheme, "cluster")
}

// ofMany are options that other clients' URLs have for a store that is several servers. It
// never changes.
var ofMany = []string{"addr", "master", "master_name", "mastername", "service_name", "sentinel"}

// checkQuery refuses the options of a URL, as none has an effect.
func checkQuery(query url.Values) error {
	for _, option := range slices.Sorted(maps.Keys(query)) {
		switch {
		case slices.Contains(ofMany, strings.ToLower(option)):
			return errServers
		case strings.Trim(option, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "":
			return errURL // it may be the end of a password with a question mark
		}
		return fmt.Errorf("unknown option '%s' in the URL", option)
	}
	return nil
}

// errServers is about a store that is several servers.
var errServers = errors.New("one server can be named, not Sentinel or a Cluster: name an address that leads to a primary")

// errURL does not have the URL's text in it, as a password is in that.
var errURL = errors.New("the URL is none such as rediss://:PASSWORD@HOST:6379/0")

// checkAddr checks a host and port.
func checkAddr(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return fmt.Errorf("'%s' is no address such as 192.0.2.6:6379", address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("'%s' is no port", port)
	}
	return nil
}

// minKey is the shortest secret that is taken, in bytes: a shorter one can be guessed.
const minKey = 16

func (p *parser) readKey(file string) ([]byte, error) {
	key, err := os.ReadFile(p.path(file))
	if err != nil {
		return nil, err
	}
	if len(key) < minKey {
		return nil, fmt.Errorf("%s has %d bytes, want %d at least", file, len(key), minKey)
	}
	return key, nil
}
