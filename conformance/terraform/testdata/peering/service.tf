# The load balancer of the one account as a service, and an endpoint of the other one to it.

resource "aws_vpc_endpoint_service" "this" {
  acceptance_required        = true
  network_load_balancer_arns = [aws_lb.this.arn]
  supported_ip_address_types = ["ipv4"]
  private_dns_name           = var.changed ? "*.api.example.com" : "api.example.com"
  tags                       = { Name = var.changed ? "changed" : "service" }
}

resource "aws_vpc_endpoint_service_private_dns_verification" "this" {
  service_id = aws_vpc_endpoint_service.this.id
}

resource "aws_vpc_endpoint_service_allowed_principal" "this" {
  vpc_endpoint_service_id = aws_vpc_endpoint_service.this.id
  principal_arn           = "arn:aws:iam::${var.accepter.account}:root"
}

data "aws_vpc_endpoint_service" "offered" {
  provider     = aws.accepter
  service_name = aws_vpc_endpoint_service.this.service_name
  depends_on   = [aws_vpc_endpoint_service_allowed_principal.this]
}

resource "aws_subnet" "accepter" {
  provider          = aws.accepter
  vpc_id            = aws_vpc.accepter.id
  availability_zone = "us-east-1a"
  cidr_block        = "10.1.1.0/24"
}

resource "aws_vpc_endpoint" "offered" {
  provider            = aws.accepter
  vpc_id              = aws_vpc.accepter.id
  service_name        = data.aws_vpc_endpoint_service.offered.service_name
  vpc_endpoint_type   = "Interface"
  subnet_ids          = [aws_subnet.accepter.id]
  private_dns_enabled = false
}

resource "aws_vpc_endpoint_connection_accepter" "this" {
  vpc_endpoint_service_id = aws_vpc_endpoint_service.this.id
  vpc_endpoint_id         = aws_vpc_endpoint.offered.id
}
