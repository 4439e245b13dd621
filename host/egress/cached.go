package egress

import (
	"cmp"
	"container/list"
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// CacheOptions bounds what [Client.CachedGet] keeps. The zero value means the documented
// defaults.
type CacheOptions struct {
	// MaxBytes limits the body of one answer; 0 means 16 KiB.
	MaxBytes int64
	// TotalBytes limits all that is kept; 0 means 4 MiB. What was used longest ago goes first.
	TotalBytes int64
	// Life is how long an answer of status 200 is kept; 0 means 24 h.
	Life time.Duration
	// PerMinute is how often one plugin may have one host asked in a minute; 0 means 10.
	PerMinute int
}

const (
	// otherLife is how long an answer of any other status is kept.
	otherLife = time.Minute
	// cachedTimeout limits one fetch: a platform waits meanwhile.
	cachedTimeout = 2 * time.Second
	// maxMeters bounds how many hosts are counted.
	maxMeters = 4096
)

// CachedGet gets what never changes, such as a signing certificate, by a rule that is for
// that and nothing else. An answer is kept for all connections of the plugin that may have
// the same private targets dialled. No placeholder is filled, and no redirect followed.
// What went wrong is in the result's Error.
func (c *Client) CachedGet(ctx context.Context, p domain.EgressPolicy, url string) *contract.HTTPResult {
	target, err := ParseURL(url)
	switch {
	case resemblesPlaceholder(url):
		err = denied("no placeholder is filled in what is kept for all")
	case err != nil:
		err = invalid(err)
	case target.Scheme != "https":
		err = denied("what is kept for all comes by https")
	case len(matching(p, http.MethodGet, target, true)) == 0:
		err = denied("no rule for cached requests allows GET https://%s%.200s", target.Host, target.EscapedPath())
	}
	if err != nil {
		return &contract.HTTPResult{Error: asFault(err).HostError}
	}
	key := cacheKey(p, target.String())
	if kept := c.cache.get(key); kept != nil {
		return kept
	}
	return c.fetchOnce(ctx, p, key, target.String(), target.Host)
}

// cacheKey tells answers apart that different senders might get for one URL.
func cacheKey(p domain.EgressPolicy, url string) string {
	return p.Plugin + "\n" + fmt.Sprint(parsePrivateTargets(p.PrivateTargets)) + "\n" + url
}

// fetchOnce fetches, or waits for the one who does already. That goes on if ctx ends.
func (c *Client) fetchOnce(ctx context.Context, p domain.EgressPolicy, key, url, host string) *contract.HTTPResult {
	fetched := c.cache.flights.DoChan(key, func() (any, error) {
		if kept := c.cache.get(key); kept != nil { // from the flight before this one
			return kept, nil
		}
		if wait := c.cache.meter(p.Plugin + "\n" + host); wait > 0 {
			fault := failed(contract.HostQuota, nil, "%s was asked too often in the last minute; it is asked again in %v", host, wait.Round(time.Second))
			fault.RetryAfterMillis = wait.Milliseconds()
			return &contract.HTTPResult{Error: fault.HostError}, nil
		}
		d := draft{method: http.MethodGet, url: url, cached: true, maxAnswer: c.cache.options.MaxBytes}
		result := c.exchange(context.WithoutCancel(ctx), p, nil, d, cachedTimeout.Milliseconds())
		if result.Truncated {
			fault := failed(contract.HostQuota, nil, "the answer is longer than %d bytes, or is encoded", c.cache.options.MaxBytes)
			result = &contract.HTTPResult{Error: fault.HostError}
			result.Error.Certain = false
		}
		c.cache.put(key, result)
		return result, nil
	})
	select {
	case r := <-fetched:
		return copyOf(r.Val.(*contract.HTTPResult))
	case <-ctx.Done():
		return &contract.HTTPResult{Error: &contract.HostError{Code: contract.HostTimeout, Message: "there was no answer in time"}}
	}
}

// copyOf lets whoever gets a result change it.
func copyOf(r *contract.HTTPResult) *contract.HTTPResult {
	own := *r
	own.Headers = slices.Clone(r.Headers)
	if r.Error != nil {
		problem := *r.Error
		own.Error = &problem
	}
	return &own
}

// cache keeps answers, those that were used last, and counts fetches.
type cache struct {
	options CacheOptions
	flights singleflight.Group

	mu      sync.Mutex
	entries map[string]*list.Element // of *cached
	order   *list.List               // used last first
	bytes   int64
	meters  map[string][]time.Time // by plugin and host: the fetches of the last minute
}

// cached is one answer that is kept.
type cached struct {
	key     string
	result  *contract.HTTPResult
	expires time.Time
	bytes   int64
}

func newCache(o CacheOptions) *cache {
	o.MaxBytes = orDefault(o.MaxBytes, 16<<10)
	o.TotalBytes = orDefault(o.TotalBytes, 4<<20)
	o.Life = orDefault(o.Life, 24*time.Hour)
	o.PerMinute = cmp.Or(max(0, o.PerMinute), 10)
	return &cache{options: o, entries: map[string]*list.Element{}, order: list.New(), meters: map[string][]time.Time{}}
}

// get returns a copy of what is kept; nil if nothing is.
func (k *cache) get(key string) *contract.HTTPResult {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.entries[key]
	if e == nil {
		return nil
	}
	kept := e.Value.(*cached)
	if !time.Now().Before(kept.expires) {
		k.remove(e)
		return nil
	}
	k.order.MoveToFront(e)
	return copyOf(kept.result)
}

// put keeps an answer. Of what went wrong only that is kept which the platform said.
func (k *cache) put(key string, result *contract.HTTPResult) {
	life := otherLife
	switch {
	case result.Error != nil && result.Error.Code != contract.HostQuota:
		return
	case result.Status == http.StatusOK:
		life = k.options.Life
	}
	kept := &cached{key: key, result: copyOf(result), expires: time.Now().Add(life), bytes: sizeOf(key, result)}
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := k.entries[key]; e != nil {
		k.remove(e)
	}
	k.entries[key] = k.order.PushFront(kept)
	k.bytes += kept.bytes
	for k.bytes > k.options.TotalBytes {
		k.remove(k.order.Back())
	}
}

// sizeOf is about what an entry takes in memory, in bytes.
func sizeOf(key string, r *contract.HTTPResult) int64 {
	size := 512 + 2*len(key) + len(r.Body)
	for _, h := range r.Headers {
		size += 64 + len(h.Name) + len(h.Value)
	}
	return int64(size)
}

// remove forgets an entry. The caller holds mu.
func (k *cache) remove(e *list.Element) {
	gone := k.order.Remove(e).(*cached)
	delete(k.entries, gone.key)
	k.bytes -= gone.bytes
}

// meter counts a fetch, or says for how long there may be none.
func (k *cache) meter(key string) (wait time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	recent := slices.DeleteFunc(k.meters[key], func(at time.Time) bool { return now.Sub(at) >= time.Minute })
	if len(recent) >= k.options.PerMinute {
		k.meters[key] = recent
		return recent[0].Add(time.Minute).Sub(now)
	}
	if _, known := k.meters[key]; !known && len(k.meters) >= maxMeters {
		k.forgetMeters(now)
		if len(k.meters) >= maxMeters {
			return time.Minute
		}
	}
	k.meters[key] = append(recent, now)
	return 0
}

// forgetMeters drops those of hosts that were not asked in the last minute. The caller holds
// mu.
func (k *cache) forgetMeters(now time.Time) {
	for key, times := range k.meters {
		if last := times[len(times)-1]; now.Sub(last) >= time.Minute {
			delete(k.meters, key)
		}
	}
}
