// Package streaming proves that attachments pass through the host without being held in
// memory: in by an event and by media_fetch, out by media_put and by a link.
package streaming
