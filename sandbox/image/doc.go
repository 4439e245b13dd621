// Package image keeps the memory of an instance as it was when it was frozen, and
// gives memory that begins so and can be set back to it.
//
// An [Image] is what was frozen; many a [Memory] is made from it, and shares with it
// every page that it has not written to. [Memory.Restore] undoes what was written.
// How it learns where that was is a [Tracking]: the kernel is asked which pages the
// memory has of its own, or each page is compared with the image.
//
// A Memory is what wazero asks a memory allocator for. Nothing here knows WebAssembly
// beyond that, or whose bytes these are.
package image
