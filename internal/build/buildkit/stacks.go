package buildkit

type stacks struct{}
