package iterdns

import (
	"errors"
	"fmt"
	"os"
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

// redisOptions gives those that fit a resolver, for HOST:PORT, or a URL that may have a
// password.
func redisOptions(address string) (*redis.Options, error) {
	if !strings.Contains(address, "://") {
		return rediscache.Options(address), nil
	}
	url, err := redis.ParseURL(address)
	if err != nil {
		return nil, errors.New("the URL is none such as rediss://:PASSWORD@HOST:6379/0") // not its text: a password is in it
	}
	o := rediscache.Options(url.Addr)
	o.Network, o.Username, o.Password, o.DB, o.TLSConfig = url.Network, url.Username, url.Password, url.DB, url.TLSConfig
	return o, nil
}

// minKey is the shortest secret that is taken, in octets: a shorter one can be guessed.
const minKey = 16

func (p *parser) readKey(file string) ([]byte, error) {
	key, err := os.ReadFile(p.path(file))
	if err != nil {
		return nil, err
	}
	if len(key) < minKey {
		return nil, fmt.Errorf("%s has %d octets, want %d at least", file, len(key), minKey)
	}
	return key, nil
}
