//! What only Ruby has: classes that are known by what they inherit from, methods that are mixed in, calls without parentheses.

use super::{check, check_files};

#[test]
fn classes_are_known_by_what_they_inherit_from() {
    check_files(
        &[
            (
                "agents/application.rb",
                "class ApplicationAgent < ActiveAgent::Base\n  generate_with :openai, model: \"gpt-4o-mini\"\nend\n",
            ),
            ("agents/support.rb", "class Support < ApplicationAgent\n  def help; prompt(message: 1); end\nend\n"),
            ("agents/weather.rb", "class Weather < RubyLLM::Agent\n  model \"gpt-5\"\nend\n"),
            ("jobs/a.rb", "Support.with(message: 1).help.generate_now\nWeather.new.ask(\"rain?\")\n"),
        ],
        "agents/application.rb:2 adapter chat openai gpt-4o-mini likely
         jobs/a.rb:1 call chat openai unknown likely
         jobs/a.rb:2 call chat unknown unknown certain",
    );
}

#[test]
fn methods_that_are_mixed_in_and_parameters_with_a_client() {
    check(
        "a.rb",
        "module Clients\n  def anthropic\n    @anthropic ||= Anthropic::Client.new(api_key: k)\n  end\nend\nclass Job\n  include Clients\n  \
         def initialize(client: OpenAI::Client.new)\n    @client = client\n  end\n  def perform\n    \
         anthropic.messages.create(**options)\n    @client.responses.create(model: \"gpt-4o\")\n  end\nend\n",
        "3 client client anthropic unknown certain
         8 client client openai unknown certain
         12 call chat anthropic unknown certain
         13 call responses openai gpt-4o certain",
    );
}

#[test]
fn plain_http_over_connections_and_classes_with_a_base() {
    check(
        "a.rb",
        "class A\n  BASE = \"https://api.mistral.ai\".freeze\n  def connection\n    @connection ||= Faraday.new(url: BASE) { |f| \
         f.request :json }\n  end\n  def chat\n    connection.post(\"/v1/chat/completions\") do |req|\n      req.body = { model: \
         \"mistral-large-latest\" }.to_json\n    end\n  end\n  def url\n    \"#{BASE}/v1/embeddings\"\n  end\n  def embed\n    \
         HTTP.auth(key).post(url, json: { model: \"mistral-embed\" })\n  end\nend\n",
        "7 http chat mistral mistral-large-latest certain
         15 http embeddings mistral mistral-embed certain",
    );
}

#[test]
fn predictors_engines_and_records_of_chats() {
    check(
        "a.rb",
        "predict = DSPy::Predict.new(Signature)\npredict.call(question: 1)\nBoxcars::Calculator.new(engine: \
         Boxcars::Groq.new).run(\"1+1\")\nRubyLLM.chat.with_temperature(0.2).ask \"x\"\n@chat.ask(\"hello\")\n",
        "2 call chat unknown unknown certain
         3 call chat groq variable certain
         4 call chat unknown unknown certain
         5 call chat unknown unknown likely",
    );
}

#[test]
fn methods_that_are_sent_by_a_name_and_arguments_without_a_value() {
    check(
        "a.rb",
        "client = OpenAI::Client.new\ndef name\n  :embeddings\nend\nclient.send(name, parameters: p)\nclient.public_send(other, parameters: \
         p)\nservice.chat(parameters:)\n",
        "1 client client openai unknown certain
         5 call embeddings openai unknown certain
         6 call chat openai unknown certain
         7 call chat openai unknown likely",
    );
}

#[test]
fn calls_of_constants_lambdas_and_methods_that_are_handed_over() {
    check(
        "a.rb",
        "chat = RubyLLM.chat\nPROVIDERS = { openai: -> { OpenAI::Client.new } }\nPROVIDERS[name].call.chat(parameters: p)\nclient = \
         OpenAI::Client.new\nclient.method(:embeddings).call(parameters: p)\n\"Langchain::LLM::#{name}\".constantize.new(api_key: k)\n\
         [client].each { |each| each.models.list }\n",
        "1 client chat unknown unknown certain
         2 client client openai unknown certain
         3 call chat openai unknown certain
         4 client client openai unknown certain
         5 call embeddings openai unknown certain
         6 client client unknown unknown certain
         7 call models openai unknown certain",
    );
}

#[test]
fn a_generator_asks_the_class_above_it_and_a_record_is_a_chat() {
    check_files(
        &[
            ("a.rb", "class Names < Sublayer::Generators::Base\n  def generate\n    super\n  end\nend\n"),
            ("chat.rb", "class Talk < ApplicationRecord\n  acts_as_chat\nend\n"),
            ("job.rb", "Talk.create!(model_id: \"gpt-4o\").ask(\"hello\")\n"),
        ],
        "a.rb:3 call chat unknown unknown certain
         job.rb:1 call chat openai gpt-4o certain",
    );
}

#[test]
fn routes_are_no_requests_and_texts_are_filled_in() {
    check(
        "a.rb",
        "BASE = \"https://api.openai.com\"\npost \"/v1/chat/completions\", to: \"chat#create\"\npost \"/v1/messages\" do\n  answer\n\
         end\nurl = \"%s/v1/images/generations\" % BASE\nHTTP.post(url, json: {})\nsigner.sign_request(url: \"https://bedrock-runtime.x\")\n",
        "7 http images openai unknown certain",
    );
}

#[test]
fn a_member_that_the_classes_below_set() {
    check_files(
        &[
            ("a/backend.rb", "class Backend\n  def ask\n    @client.send(name_of_method, **config)\n  end\nend\n"),
            ("a/b/one.rb", "class One < Backend\n  def initialize\n    @client = OpenAI::Client.new\n  end\nend\n"),
            ("a/b/two.rb", "class Two < Backend\n  def initialize\n    @client = Anthropic::Client.new\n  end\nend\n"),
        ],
        "a/b/one.rb:3 client client openai unknown certain
         a/b/two.rb:3 client client anthropic unknown certain
         a/backend.rb:3 call chat openai unknown certain",
    );
}

#[test]
fn what_is_put_into_something_and_what_a_block_returns() {
    check(
        "a.rb",
        "def setup\n  @chats[name] = RubyLLM.chat(model: name)\n  @list << OpenAI::Client.new\nend\ndef client\n  @mutex.synchronize { \
         @client ||= Anthropic::Client.new }\nend\ndef go\n  @chats[name].ask(\"x\")\n  @list.first.models.list\n  \
         client.messages.create(**p)\nend\n",
        "2 client chat unknown variable certain
         3 client client openai unknown certain
         6 client client anthropic unknown certain
         9 call chat unknown unknown certain
         10 call models openai unknown certain
         11 call chat anthropic unknown certain",
    );
}

#[test]
fn a_method_that_the_classes_below_write_anew() {
    check_files(
        &[
            (
                "base.rb",
                "class Base\n  def ask\n    api.create(**config)\n  end\n  def api\n    raise NotImplementedError\n  end\nend\n",
            ),
            ("one.rb", "class One < Base\n  def api\n    Anthropic::Client.new.messages\n  end\nend\n"),
        ],
        "base.rb:3 call chat anthropic unknown certain
         one.rb:3 client client anthropic unknown certain",
    );
}

#[test]
fn requests_for_a_host_that_is_said_elsewhere() {
    check_files(
        &[
            (
                "lib/openai/files.rb",
                "def all\n  req = Net::HTTP::Get.new(\"/v1/files\", headers)\n  execute(request: req)\nend\ndef ask\n  Net::HTTP::Post.new(path, h)\nend\ndef path = \"/v1/responses\"\n",
            ),
            ("lib/ollama/models.rb", "# like openai\ndef all\n  Net::HTTP::Get.new(\"/v1/models\", headers)\nend\n"),
            (
                "lib/anthropic.rb",
                "BASE = \"https://api.anthropic.com\"\nPATH = \"/v1/messages\"\ndef ask\n  HTTP.post(\"#{BASE}#{PATH}\", json: {})\nend\n\
                 ClaudeAgentSDK.query(prompt: q)\n",
            ),
        ],
        "lib/anthropic.rb:4 http chat anthropic unknown certain
         lib/anthropic.rb:6 call chat anthropic unknown certain
         lib/openai/files.rb:2 http files openai unknown likely
         lib/openai/files.rb:6 http responses openai unknown likely",
    );
}

#[test]
fn parameters_and_what_a_function_yields() {
    check_files(
        &[
            (
                "a.rb",
                "def with_llm\n  yield Langchain::LLM::OpenAI.new(api_key: k)\nend\nwith_llm { |each| each.embed(text: q) }\ndef ask(model, \
                 q)\n  model.complete(prompt: q)\nend\nask(Langchain::LLM::Cohere.new(api_key: k), q)\nWriter.new(engine: \
                 Langchain::LLM::GoogleGemini.new(api_key: k))\n",
            ),
            (
                "b.rb",
                "class Writer # with an llm\n  def initialize(engine:)\n    @engine = engine\n  end\n  def go = @engine.chat(messages: m)\nend\n",
            ),
        ],
        "a.rb:2 client client openai unknown certain
         a.rb:4 call embeddings openai unknown certain
         a.rb:6 call completions cohere unknown likely
         a.rb:8 client client cohere unknown certain
         a.rb:9 client client google unknown certain
         b.rb:5 call chat google unknown likely",
    );
}

#[test]
fn a_class_that_is_chosen_at_run_time_and_a_method_that_is_sent() {
    check(
        "a.rb",
        "class One\n  def self.client\n    ::Gemini\n  end\n  def initialize\n    @client = self.class.client.new(credentials: c)\n  \
         end\n  def name\n    :stream_generate_content\n  end\n  def ask\n    @client.send(name, config) { |part| part }\n  end\nend\n",
        "6 client client google unknown certain
         12 call chat google unknown certain",
    );
}

#[test]
fn constants_of_initializers_what_is_rescued_and_records_of_chats_are_known_everywhere() {
    check_files(
        &[
            (
                "config/initializers/llm.rb",
                "GeminiLLM = begin\n  Langchain::LLM::GoogleGemini.new(api_key: k, default_options: { chat_completion_model_name: 'gemini-1.0-pro' \
                 })\nrescue StandardError\n  nil\nend\n",
            ),
            ("app/models/article.rb", "class Article\n  def embed\n    GeminiLLM.embed(text: body)\n  end\nend\n"),
            ("app/models/chat.rb", "class Chat < ApplicationRecord\n  acts_as_chat\nend\n"),
            (
                "app/jobs/answer_job.rb",
                "class AnswerJob\n  def perform(id)\n    chat = Chat.find(id)\n    chat.ask(question)\n    chat.complete\n  end\nend\n",
            ),
        ],
        "app/jobs/answer_job.rb:4 call chat unknown unknown certain
         app/jobs/answer_job.rb:5 call chat unknown unknown certain
         app/models/article.rb:3 call embeddings google unknown certain
         config/initializers/llm.rb:2 client client google gemini-1.0-pro certain",
    );
}

#[test]
fn a_class_of_the_application_that_is_called_like_a_library_is_its_own() {
    check_files(
        &[
            (
                "app/services/gemini.rb",
                "class Gemini\n  include HTTParty\n  base_uri 'https://generativelanguage.googleapis.com/v1beta/models'\n  def generate_content\n    \
                 self.class.post('/gemini-2.0-flash:generateContent', body: b)\n  end\nend\n",
            ),
            (
                "app/controllers/a.rb",
                "class A\n  def create\n    @html = Gemini.new(prompt).generate_content\n  end\nend\n",
            ),
        ],
        "app/services/gemini.rb:5 http chat google gemini-2.0-flash likely",
    );
}

#[test]
fn what_only_puts_a_request_together_sends_nothing() {
    check(
        "openai_client.rb",
        "class OpenaiClient\n  def chat(messages)\n    body = prepare_chat_request(model: 'gpt-5', messages: messages)\n  end\nend\n",
        "",
    );
}

#[test]
fn a_model_in_an_address_that_is_filled_in_or_in_a_path_on_a_base() {
    check(
        "a.rb",
        "class A\n  MODEL = 'gemini-2.5-flash'\n  ENDPOINT = \"https://generativelanguage.googleapis.com/v1beta/models/#{MODEL}:generateContent\"\n  \
         def initialize\n    @api_url = 'https://generativelanguage.googleapis.com/v1beta/models/gemini-1.5-pro:generateContent'\n  end\n  \
         def f\n    HTTParty.post(\"#{@api_url}?key=#{@key}\", body: { contents: [{ parts: [] }] }.to_json)\n    \
         HTTParty.post(\"#{ENDPOINT}?key=#{@key}\", body: { contents: [{ parts: [] }] }.to_json)\n  end\nend\n",
        "8 http chat google gemini-1.5-pro certain
         9 http chat google gemini-2.5-flash certain",
    );
    check(
        "b.rb",
        "class B\n  include HTTParty\n  base_uri 'https://generativelanguage.googleapis.com/v1beta'\n  def f\n    @model = 'gemini-1.5-flash'\n    \
         self.class.post(\"/models/#{@model}:generateContent?key=#{@key}\", body: { contents: [] }.to_json)\n  end\nend\n",
        "6 http chat google gemini-1.5-flash certain",
    );
    check(
        "app/services/gemini.rb",
        "class Gemini\n  include HTTParty\n  base_uri ENV['GEMINI_URL']\n  def f(options)\n    \
         self.class.post('/gemini-2.0-flash:generateContent', options)\n  end\nend\n",
        "5 http chat google gemini-2.0-flash likely",
    );
}
