// Package domain holds the nouns that the rooms of the host share: workspaces,
// connections, deliveries, events, messages, commands, jobs, plugins and grants, as
// they are kept.
//
// Everything here is data. The rooms that decide (broker, jobs, registry,
// credentials) declare what they need from a store as small interfaces over these
// types; the store implements them.
package domain
