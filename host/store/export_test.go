package store

import "go.etcd.io/bbolt"

// WithCommit replaces the last step of every transaction.
func (o Options) WithCommit(commit func(*bbolt.Tx) error) Options {
	o.commit = commit
	return o
}

// WithGroup limits how many requests share a commit.
func (o Options) WithGroup(n int) Options {
	o.group = n
	return o
}

// MaxReruns is how often a group is run again.
const MaxReruns = maxReruns

// Bolt lends the file, so that tests can damage it.
func (s *Store) Bolt() *bbolt.DB { return s.db }
