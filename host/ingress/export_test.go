package ingress

// HeldBytes is how many bytes of bodies are held.
func (s *Server) HeldBytes() int64 { return s.bodies.Used() }

// Waiting is how many deliveries wait for their turn.
func (s *Server) Waiting() int {
	s.turnstile.mu.Lock()
	defer s.turnstile.mu.Unlock()
	return s.turnstile.waiting
}
