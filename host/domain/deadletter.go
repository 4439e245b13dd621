package domain

// Bulk is what a request that is about many things did to those of one batch.
type Bulk struct {
	// Matched is how many things the filter selected, and Done for how many of them it was
	// done.
	Matched int `json:"matched"`
	Done    int `json:"done"`
	// Skipped is the others.
	Skipped []Skipped `json:"skipped"`
	// Next is the cursor of the batch after; empty if there is none.
	Next string `json:"next,omitempty"`
}

// Skip adds a thing that it could not be done for.
func (b *Bulk) Skip(id, why string) { b.Skipped = append(b.Skipped, Skipped{ID: id, Why: why}) }

// Skipped is one thing that was left as it is.
type Skipped struct {
	ID  string `json:"id"`
	Why string `json:"why"`
}
