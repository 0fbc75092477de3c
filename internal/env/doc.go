// Package env holds what every part of the engine needs: the settings, the counters, the
// flights and the life of the resolver.
//
// In come the options, checked and filled by package resolver, as [Settings]; each part of the
// engine embeds the one [Env]. The package decides only what the digest of the settings covers:
// which resolvers may share cached data.
//
// It never changes a setting, and knows no part of the engine.
//
// Unbound's word is module_env, with config_file for the settings; Knot Resolver's is
// kr_context.
package env
