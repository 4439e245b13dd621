package manifest

import (
	"slices"
	"strings"
)

// suggestion names the word that was probably meant, or all of them.
func suggestion(word string, known []string) string {
	best, distance := "", 1+max(1, len(word)/3)
	for _, candidate := range known {
		if d := editDistance(strings.ToLower(word), candidate); d < distance {
			best, distance = candidate, d
		}
	}
	if best != "" {
		return `did you mean "` + best + `"?`
	}
	return "use one of " + strings.Join(known, ", ")
}

// editDistance counts the letters to insert, remove, replace or swap with the next one,
// to get from a to b. Long words are never near.
func editDistance(a, b string) int {
	const longest = 64
	if len(a) > longest || len(b) > longest {
		return longest
	}
	var before []int // two rows up
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			replace := row[j]
			if a[i] != b[j] {
				replace++
			}
			next[j+1] = min(row[j+1]+1, next[j]+1, replace)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = slices.Clone(row), next
	}
	return row[len(b)]
}
