package main

import (
	"context"
	"sync"

	api "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/containerd/containerd/v2/pkg/shim"
	"github.com/containerd/ttrpc"
)

// atOnce is containerd's task service for containers that are started as soon
// as they are made, when nobody has anything to do in between: the way back
// to the client and here again is not waited for. The client's own start is
// then answered with what was started.
type atOnce struct {
	api.TTRPCTaskService

	mu      sync.Mutex
	started map[string]uint32 // containers whose client has yet to start them, and their pids
}

var _ shim.TTRPCService = (*atOnce)(nil)

// RegisterTTRPC implements shim.TTRPCService.
func (s *atOnce) RegisterTTRPC(server *ttrpc.Server) error {
	api.RegisterTTRPCTaskService(server, s)
	return nil
}

// Create implements api.TTRPCTaskService.
func (s *atOnce) Create(ctx context.Context, r *api.CreateTaskRequest) (*api.CreateTaskResponse, error) {
	if err := handEnv(r.Bundle); err != nil {
		return nil, err
	}
	made, err := s.TTRPCTaskService.Create(ctx, r)
	if err != nil {
		return nil, err
	}
	if _, err := s.TTRPCTaskService.Start(ctx, &api.StartRequest{ID: r.ID}); err == nil {
		s.mu.Lock()
		s.started[r.ID] = made.Pid
		s.mu.Unlock()
	} // else the client's own start meets the error
	return made, nil
}

// Start implements api.TTRPCTaskService.
func (s *atOnce) Start(ctx context.Context, r *api.StartRequest) (*api.StartResponse, error) {
	s.mu.Lock()
	pid, done := s.started[r.ID]
	if done && r.ExecID == "" {
		delete(s.started, r.ID)
		s.mu.Unlock()
		return &api.StartResponse{Pid: pid}, nil
	}
	s.mu.Unlock()
	return s.TTRPCTaskService.Start(ctx, r)
}
