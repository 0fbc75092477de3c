// Package secondlevel stands between a resolver and the store that it shares with
// others: it seals what goes in and opens what comes out, waits no longer than a bound,
// leaves a store alone that does not work or that lies, and writes in the background.
package secondlevel
