package main

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/aws/aws-lambda-go/lambda"
)

type event struct {
	N    int  `json:"n"`
	Fail bool `json:"fail"`
}

func handle(_ context.Context, e event) (json.RawMessage, error) {
	if e.Fail {
		return nil, errors.New("as asked")
	}
	return json.Marshal(map[string]any{"echo": e})
}

func main() { lambda.Start(handle) }
