-- Every key that is accepted would be written to it; old keys are found by walking through them.
DROP INDEX idempotency_by_age;
