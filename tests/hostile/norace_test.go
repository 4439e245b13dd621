//go:build !race

package hostile

// slowdown is by how much less is done under the race detector.
const slowdown = 1
