"""What several kinds of tests share: seams under the test's control, small worlds, real processes."""
