package jobs

import "github.com/seed75a60ee1/patchbay/host/domain"

// Move makes new times of queued jobs known, such as an earlier one because what they wait
// for is there. A job that is not known is added. Unlike Forget and Add it lets no later job
// of the lane slip through in between.
func (s *Scheduler) Move(committed ...domain.Job) {
	if len(committed) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.read()
	for _, job := range committed {
		if job.State != domain.JobQueued {
			continue
		}
		l := s.lanes[job.Lane]
		if _, known := s.known[job.Seq]; !known || l == nil || l.running && l.current.seq == job.Seq {
			s.place(job.Ticket(), now)
			continue
		}
		at := job.NotBefore.UnixNano()
		for i := range l.tickets {
			if t := &l.tickets[i]; t.seq == job.Seq {
				t.at, t.due = at, s.due(at, now)
			}
		}
		s.settle(l, now)
	}
	s.nudge()
}
