# What the first apply wrote stays, so that staging's variables never meet production's state.
resource "terraform_data" "environment" {
  input = var.environment

  lifecycle {
    ignore_changes = [input]

    postcondition {
      condition     = self.output == var.environment
      error_message = "This state is of another environment than -var-file says: ${self.output}."
    }
  }
}
