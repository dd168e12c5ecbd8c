# Where the state of a real environment is; to be copied beside versions.tf, where git ignores it:
#
#   cp environments/backend.tf backend.tf
#   terraform init -backend-config=bucket=PROJECT-terraform-state -backend-config=prefix=watchledger
#
# Without it, init, validate and test work anywhere, with a state in this folder.
terraform {
  backend "gcs" {}
}
