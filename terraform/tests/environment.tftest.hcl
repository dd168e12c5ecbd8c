# One environment's variables never meet another's state.
mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

run "the_first_apply_writes_down_the_environment" {
  command = apply

  plan_options {
    target = [terraform_data.environment]
  }
}

run "another_environment_is_refused" {
  command = plan

  plan_options {
    target = [terraform_data.environment]
  }

  variables {
    environment = "staging"
  }

  expect_failures = [terraform_data.environment]
}
